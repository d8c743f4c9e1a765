#include "pack.h"

#include <algorithm>
#include <cmath>

namespace rlcompress::stack {
namespace {

std::vector<Chunk> split(std::size_t vectors, std::size_t most, std::size_t taps,
                         std::size_t lanes) {
  const std::size_t count = (vectors + most - 1) / most;
  std::vector<Chunk> chunks;
  std::size_t first = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t part = (vectors - first + count - i - 1) / (count - i);
    chunks.push_back({first, part, first * taps * lanes});
    first += part;
  }
  return chunks;
}

std::size_t power_of_two(std::size_t least) {
  std::size_t power = 1;
  while (power < least) power *= 2;
  return power;
}

}  // namespace

void pack_conv(const Kernels& kernels, const StageSpec& stage, const Map& in, const float* weight,
               std::size_t all, std::size_t first, const float* bias, PackedConv& to) {
  const Window& window = stage.window;
  const std::size_t inputs = stage.in.channels;
  const std::size_t outputs = stage.out.channels;
  const std::size_t area = window.kernel[0] * window.kernel[1];
  const std::size_t taps = area * in.stride;
  const std::size_t padded = round_up(outputs, kChannels);
  const std::size_t vectors = (padded + kernels.lanes - 1) / kernels.lanes;
  to.chunks = split(vectors, kernels.most_vectors, taps, kernels.lanes);
  to.offsets.clear();
  to.taps.clear();
  for (std::size_t i = 0; i < window.kernel[0]; ++i) {
    for (std::size_t j = 0; j < window.kernel[1]; ++j) {
      const std::size_t begin = i * window.dilation[0] * in.row() + j * window.dilation[1] * in.stride;
      for (std::size_t c = 0; c < in.stride; ++c) {
        if (c < inputs) to.taps.push_back(static_cast<std::uint32_t>(to.offsets.size()));
        to.offsets.push_back(static_cast<std::int32_t>((begin + c) * sizeof(float)));
      }
    }
  }
  to.scratch.resize(taps + 16);
  to.weights.assign(taps * vectors * kernels.lanes, 0);
  to.bias.assign(vectors * kernels.lanes, 0);
  if (bias != nullptr) std::copy(bias, bias + outputs, to.bias.begin());
  bool finite = true;
  for (const Chunk& chunk : to.chunks) {
    const std::size_t width = chunk.vectors * kernels.lanes;
    for (std::size_t lane = 0; lane < width && chunk.first * kernels.lanes + lane < outputs; ++lane) {
      const float* from = weight + (chunk.first * kernels.lanes + lane) * all * area;
      for (const std::uint32_t tap : to.taps) {
        const float w = from[(first + tap % in.stride) * area + tap / in.stride];
        finite = finite && std::isfinite(w);
        to.weights[chunk.weights + tap * width + lane] = w;
      }
    }
  }
  // Where 0 * weight is 0, and runs are long enough for looking to cost less than it saves.
  const bool joined = window.dilation[1] == 1;
  const std::size_t length = joined ? window.kernel[1] * in.stride : in.stride;
  const bool skip = finite && length >= 2 * kChannels;
  to.layer = {to.offsets.data(), to.taps.data(), to.taps.size(),
              skip ? taps / length : 0, length, to.scratch.data(),
              outputs, padded, to.chunks.data(), to.chunks.size(),
              to.weights.data(), to.bias.data(), stage.function};
}

void pack_linear(const Kernels& kernels, const StageSpec& stage, const float* weight,
                 const float* bias, PackedLinear& to) {
  const std::size_t lanes = kernels.lanes;
  const std::size_t area = stage.in.rows * stage.in.columns;
  const std::size_t features = area * stage.in.channels;
  const std::size_t outputs = stage.out.channels;
  LinearLayer& layer = to.layer;
  layer.positions = area > 1 ? area : (features + 15) / 16;
  layer.channels = area > 1 ? stage.in.channels : 16;
  layer.outputs = outputs;
  layer.rest = outputs % lanes == 0 ? 0 : power_of_two(outputs % lanes);
  layer.full = outputs / lanes;
  if (layer.rest == lanes) {
    layer.rest = 0;
    ++layer.full;
  }
  const std::size_t each = layer.rest == 0 ? 1 : lanes / layer.rest;
  const std::size_t steps = layer.rest == 0 ? 0 : (layer.channels + each - 1) / each;
  layer.stride = layer.full * lanes * layer.channels + steps * lanes;
  layer.width = (layer.full + (layer.rest == 0 ? 0 : 1)) * lanes;
  layer.padded = round_up(std::max(outputs, layer.full * lanes), 16);
  layer.function = stage.function;
  layer.finite = std::all_of(weight, weight + outputs * features, [](float w) { return std::isfinite(w); });
  to.weights.assign(layer.positions * layer.stride, 0);
  to.bias.assign(layer.padded, 0);
  if (bias != nullptr) std::copy(bias, bias + outputs, to.bias.begin());
  for (std::size_t p = 0; p < layer.positions; ++p) {
    for (std::size_t c = 0; c < layer.channels; ++c) {
      const std::size_t feature = area > 1 ? c * area + p : p * 16 + c;
      if (feature >= features) continue;
      float* at = to.weights.data() + p * layer.stride;
      for (std::size_t o = 0; o < outputs; ++o) {
        const float w = weight[o * features + feature];
        const std::size_t v = o / lanes;
        if (v < layer.full) {  // chunks of up to 4 vectors, as kernels go
          const std::size_t chunk = v / 4 * 4;
          const std::size_t width = std::min<std::size_t>(layer.full - chunk, 4) * lanes;
          at[chunk * lanes * layer.channels + c * width + (o - chunk * lanes)] = w;
        } else {
          const std::size_t rest = o - layer.full * lanes;
          at[layer.full * lanes * layer.channels + c / each * lanes + c % each * layer.rest + rest] = w;
        }
      }
    }
  }
  layer.weights = to.weights.data();
  layer.bias = to.bias.data();
}

void pack_pool(const StageSpec& stage, const Map& in, const Map& out, PackedPool& to) {
  const Window& window = stage.window;
  to.offsets.clear();
  for (std::size_t i = 0; i < window.kernel[0]; ++i) {
    for (std::size_t j = 0; j < window.kernel[1]; ++j) {
      to.offsets.push_back(static_cast<std::int32_t>(i * window.dilation[0] * in.row() +
                                                     j * window.dilation[1] * in.stride));
    }
  }
  to.layer = {to.offsets.data(), to.offsets.size(), std::min(in.stride, out.stride),
              stage.kind == Kind::Average,
              static_cast<float>(window.kernel[0] * window.kernel[1]), stage.function};
}

}  // namespace rlcompress::stack
