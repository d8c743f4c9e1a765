#include "layers.h"

#include <cstring>

namespace rlcompress::bits {

PackedLayer pack(const LayerNumbers& numbers) {
  PackedLayer packed;
  Layer& layer = packed.layer;
  layer.inputs = numbers.columns;
  layer.outputs = numbers.rows;
  layer.words = words_of(numbers.columns);
  layer.blocks = (numbers.rows + kLanes - 1) / kLanes;
  packed.weights.resize(layer.blocks * kLanes * layer.words);
  packed.thresholds.resize(layer.blocks * kLanes);
  packed.offsets.resize(layer.blocks * kLanes);
  std::vector<std::uint8_t> bytes(numbers.rows * numbers.columns);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = numbers.weights[i / 8] >> (i % 8) & 1U;
  pack_layer(numbers.columns, numbers.rows, bytes.data(), numbers.biases.data(),
             packed.weights.data(), packed.thresholds.data(), packed.offsets.data());
  layer.weights = packed.weights.data();
  layer.thresholds = packed.thresholds.data();
  layer.offsets = packed.offsets.data();
  return packed;
}

void sums_as_floats(const Kernels& kernels, const Layer& layer, const std::uint64_t* x, float* z) {
  std::int32_t some[64];
  Layer part = layer;
  for (std::size_t first = 0; first < layer.outputs; first += 64) {
    part.outputs = layer.outputs - first < 64 ? layer.outputs - first : 64;
    part.weights = layer.weights + first * layer.words;
    part.offsets = layer.offsets + first;
    kernels.sums(part, x, some);
    for (std::size_t i = 0; i < part.outputs; ++i) z[first + i] = static_cast<float>(some[i]);
  }
}

const Kernels& kernels_like(const std::string& isa) {
  std::string best = "portable";
  for (const std::string& known : available_isas()) {
    if (isa.compare(0, known.size(), known) == 0) return kernels_for(known);
    if (isa == "avx512" && known == "avx2") best = known;
  }
  return kernels_for(best);
}

}  // namespace rlcompress::bits
