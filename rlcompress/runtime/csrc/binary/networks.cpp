#include <cstring>
#include <stdexcept>

#include "slices.h"

namespace rlcompress::bits {
namespace {

constexpr std::size_t blocks_of(std::size_t neurons) { return (neurons + kLanes - 1) / kLanes; }

// Bytes that are 0 or not to bits, the first byte to the lowest bit.
std::uint64_t gather(const std::uint8_t* bytes, std::size_t count) {
  std::uint64_t bits = 0;
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    std::uint64_t eight = 0;
    for (std::size_t k = 0; k < 8; ++k) eight |= std::uint64_t{bytes[i + k] != 0} << k;
    bits |= eight << i;
  }
  for (; i < count; ++i) bits |= std::uint64_t{bytes[i] != 0} << i;
  return bits;
}

}  // namespace

void pack_layer(std::size_t inputs, std::size_t outputs, const std::uint8_t* weights,
                const std::int32_t* biases, std::uint64_t* words, std::int64_t* thresholds,
                std::int32_t* offsets) {
  const std::size_t row = words_of(inputs);
  const std::size_t filled = blocks_of(outputs) * kLanes;
  for (std::size_t o = 0; o < filled; ++o) {
    std::uint64_t* to = words + o / kLanes * row * kLanes + o % kLanes;
    const bool real = o < outputs;
    for (std::size_t w = 0; w < row; ++w) {
      const std::size_t bits = inputs - w * 64 < 64 ? inputs - w * 64 : 64;
      to[w * kLanes] = real ? gather(weights + o * inputs + w * 64, bits) : 0;
    }
    const std::int64_t offset = real ? static_cast<std::int64_t>(inputs) + biases[o] : 0;
    thresholds[o] = real ? (offset + 1) >> 1 : 0;
    offsets[o] = static_cast<std::int32_t>(offset);
  }
}

Networks::Networks(std::vector<std::size_t> widths, std::size_t count)
    : widths_(std::move(widths)), count_(count) {
  if (widths_.size() < 2) throw std::invalid_argument("a network must have at least one layer");
  for (const std::size_t width : widths_) {
    if (width < 1 || width > kMaxWidth) throw std::invalid_argument("a width is out of range");
  }
  std::size_t widest = 0;
  for (std::size_t k = 0; k + 1 < widths_.size(); ++k) {
    word_at_.push_back(words_each_);
    neuron_at_.push_back(neurons_each_);
    const std::size_t filled = blocks_of(widths_[k + 1]) * kLanes;
    words_each_ += filled * words_of(widths_[k]);
    neurons_each_ += filled;
    weight_bits_ += widths_[k] * widths_[k + 1];
    bias_count_ += widths_[k + 1];
    if (words_of(widths_[k + 1]) > widest) widest = words_of(widths_[k + 1]);
  }
  scratch_words_ = 2 * round_up(widest, 8);
  weights_.resize(words_each_ * count_);
  thresholds_.resize(neurons_each_ * count_);
  offsets_.resize(neurons_each_ * count_);
}

void Networks::set(std::size_t index, const std::uint8_t* weights, const std::int32_t* biases) {
  for (std::size_t k = 0; k < layers(); ++k) {
    pack_layer(widths_[k], widths_[k + 1], weights, biases,
               weights_.data() + index * words_each_ + word_at_[k],
               thresholds_.data() + index * neurons_each_ + neuron_at_[k],
               offsets_.data() + index * neurons_each_ + neuron_at_[k]);
    weights += widths_[k] * widths_[k + 1];
    biases += widths_[k + 1];
  }
}

Layer Networks::layer(std::size_t index, std::size_t k) const {
  Layer layer;
  layer.inputs = widths_[k];
  layer.outputs = widths_[k + 1];
  layer.words = words_of(layer.inputs);
  layer.blocks = blocks_of(layer.outputs);
  layer.weights = weights_.data() + index * words_each_ + word_at_[k];
  layer.thresholds = thresholds_.data() + index * neurons_each_ + neuron_at_[k];
  layer.offsets = offsets_.data() + index * neurons_each_ + neuron_at_[k];
  return layer;
}

const std::uint64_t* Networks::run_hidden(const Kernels& kernels, std::size_t index,
                                          const std::uint64_t* x, std::uint64_t* scratch) const {
  const std::size_t half = scratch_words_ / 2;
  for (std::size_t k = 0; k + 1 < layers(); ++k) {
    std::uint64_t* out = scratch + (k % 2) * half;
    kernels.fire(layer(index, k), x, out);
    x = out;
  }
  return x;
}

void Networks::run(const Kernels& kernels, std::size_t index, const std::uint64_t* x,
                   std::int32_t* z, std::uint64_t* scratch) const {
  kernels.sums(layer(index, layers() - 1), run_hidden(kernels, index, x, scratch), z);
}

void Networks::fire(const Kernels& kernels, std::size_t index, const std::uint64_t* x,
                    std::uint64_t* bits, std::uint64_t* scratch) const {
  kernels.fire(layer(index, layers() - 1), run_hidden(kernels, index, x, scratch), bits);
}

bool Networks::in_slices() const {
  for (std::size_t k = 0; k < layers(); ++k) {
    if (widths_[k] > kMostSliced) return false;
  }
  return true;
}

// `samples` are a multiple of what planes hold.
void Networks::run_slices(const Kernels& kernels, std::size_t index, const std::uint64_t* x,
                          std::int32_t* z, std::size_t samples) const {
  const std::size_t last = layers() - 1, words = kernels.plane_words;
  std::vector<Slices> slices;
  std::size_t rows = 0, triples = 0;
  for (std::size_t k = 0; k <= last; ++k) {
    slices.push_back(k < last ? slice(layer(index, k), words) : slice_last(layer(index, k)));
    const std::size_t inputs = words_of(widths_[k]) * 64;  // of whole words
    if (rows_of(inputs) > rows) rows = rows_of(inputs);
    if (triples_of(inputs) > triples) triples = triples_of(inputs);
  }
  Aligned<std::uint64_t> planes[2];
  for (auto& some : planes) some.resize(rows * words);
  Aligned<std::uint64_t> table(last == 0 ? 0 : triples * 8 * words);
  for (; samples != 0; samples -= words * 64) {
    for (std::size_t w = 0; w < input_words(); ++w) {
      kernels.to_planes(x + w, input_words(), planes[0].data() + w * 64 * words);
    }
    for (std::size_t k = 0; k < last; ++k) {
      kernels.fire_planes(layer(index, k), slices[k], planes[k % 2].data(), table.data(),
                          planes[(k + 1) % 2].data());
    }
    kernels.sum_planes(layer(index, last), slices[last], planes[last % 2].data(), z);
    x += words * 64 * input_words();
    z += words * 64 * outputs();
  }
}

void Networks::run_batch(const Kernels& kernels, std::size_t index, const std::uint64_t* x,
                         std::int32_t* z, std::size_t samples) const {
  const std::size_t together = kernels.plane_words * 64;
  if (in_slices() && samples >= together) {
    const std::size_t whole = samples / together * together;
    run_slices(kernels, index, x, z, whole);
    x += whole * input_words();
    z += whole * outputs();
    samples -= whole;
  }
  Aligned<std::uint64_t> scratch(scratch_words_);
  for (; samples != 0; --samples, x += input_words(), z += outputs()) {
    run(kernels, index, x, z, scratch.data());
  }
}

Encoder make_encoder(Code code, std::size_t inputs, std::size_t edges_each, const float* edges) {
  Encoder encoder;
  encoder.code = code;
  encoder.inputs = inputs;
  encoder.edges_each = edges_each;
  encoder.bits_each = edges_each;
  if (code == Code::OneHot) encoder.bits_each = edges_each + 1;
  if (code == Code::Gray) {
    encoder.bits_each = 0;
    for (std::size_t most = edges_each; most != 0; most >>= 1) ++encoder.bits_each;
  }
  encoder.edges.assign(edges, edges + inputs * edges_each);
  return encoder;
}

}  // namespace rlcompress::bits
