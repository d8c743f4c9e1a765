// Networks of single bits: how they lie in memory and the kernels that run them.
//
// A value of n bits is n / 64 words, rounded up, bit i in word i / 64 at 1 << (i % 64); a set bit
// is +1, a clear one -1. With n = popcount(x ^ w) over N inputs, z = w . x + b = N + b - 2 n, so a
// neuron fires (z > 0) where n < (N + b + 1) >> 1. Bits beyond the width are clear in inputs and
// weights, where they add nothing to n.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "../aligned.h"

namespace rlcompress::bits {

constexpr std::size_t kLanes = 8;  // neurons of a block
constexpr std::size_t kMaxWidth = std::size_t{1} << 20;

constexpr std::size_t words_of(std::size_t width) { return (width + 63) / 64; }

// One layer of one network. `weights` are blocks of eight neurons: for each word of the input the
// eight words of the block. Neurons that fill up the last block never fire.
struct Layer {
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  std::size_t words = 0;
  std::size_t blocks = 0;
  const std::uint64_t* weights = nullptr;
  const std::int64_t* thresholds = nullptr;
  const std::int32_t* offsets = nullptr;  // N + b
};

enum class Code : std::uint8_t { Thermometer, OneHot, Gray };

// Real numbers to bits by the number c of a number's edges that lie below it: bits k < c
// (thermometer), bit c (one-hot), or c ^ c >> 1 (Gray).
struct Encoder {
  Code code = Code::Thermometer;
  std::size_t inputs = 0;
  std::size_t edges_each = 0;
  std::size_t bits_each = 0;
  std::vector<float> edges;

  std::size_t bits() const { return inputs * bits_each; }
};

Encoder make_encoder(Code code, std::size_t inputs, std::size_t edges_each, const float* edges);

struct Slices;

struct Kernels {
  const char* isa = nullptr;
  // The bits that fire; all words of the output are written.
  void (*fire)(const Layer&, const std::uint64_t* x, std::uint64_t* out) = nullptr;
  // z of every neuron.
  void (*sums)(const Layer&, const std::uint64_t* x, std::int32_t* z) = nullptr;
  void (*encode)(const Encoder&, const float* numbers, std::uint64_t* out) = nullptr;
  // Many samples at once in planes (slices.h), 64 for each word of a plane.
  std::size_t plane_words = 0;
  void (*to_planes)(const std::uint64_t* x, std::size_t step, std::uint64_t* planes) = nullptr;
  void (*fire_planes)(const Layer&, const Slices&, std::uint64_t* rows, std::uint64_t* table,
                      std::uint64_t* out) = nullptr;
  void (*sum_planes)(const Layer&, const Slices&, std::uint64_t* rows, std::int32_t* z) = nullptr;
};

const Kernels& portable_kernels();
const Kernels& avx2_kernels();
const Kernels& avx512_kernels();
const Kernels& neon_kernels();

// "auto" or one of available_isas(); std::invalid_argument names those that there are.
const Kernels& kernels_for(const std::string& isa);
std::vector<std::string> available_isas();

// Networks of one shape: `widths` are the inputs and the outputs of every layer.
class Networks {
 public:
  Networks(std::vector<std::size_t> widths, std::size_t count);

  std::size_t count() const { return count_; }
  std::size_t layers() const { return widths_.size() - 1; }
  std::size_t inputs() const { return widths_.front(); }
  std::size_t outputs() const { return widths_.back(); }
  std::size_t input_words() const { return words_of(inputs()); }
  std::size_t weights() const { return weight_bits_; }
  std::size_t biases() const { return bias_count_; }
  std::size_t scratch_words() const { return scratch_words_; }
  const std::vector<std::size_t>& widths() const { return widths_; }

  // Weights as one byte per bit (not 0: set), layer by layer, neuron by neuron; biases alike.
  void set(std::size_t index, const std::uint8_t* weights, const std::int32_t* biases);

  Layer layer(std::size_t index, std::size_t layer) const;

  // Outputs z of network `index` for one sample; `scratch` has scratch_words() words.
  void run(const Kernels& kernels, std::size_t index, const std::uint64_t* x, std::int32_t* z,
           std::uint64_t* scratch) const;
  // As run, but the bits of the last layer.
  void fire(const Kernels& kernels, std::size_t index, const std::uint64_t* x, std::uint64_t* bits,
            std::uint64_t* scratch) const;
  void run_batch(const Kernels& kernels, std::size_t index, const std::uint64_t* x,
                 std::int32_t* z, std::size_t samples) const;

 private:
  bool in_slices() const;
  void run_slices(const Kernels& kernels, std::size_t index, const std::uint64_t* x,
                  std::int32_t* z, std::size_t samples) const;
  const std::uint64_t* run_hidden(const Kernels& kernels, std::size_t index,
                                  const std::uint64_t* x, std::uint64_t* scratch) const;

  std::vector<std::size_t> widths_;
  std::size_t count_;
  std::size_t weight_bits_ = 0, bias_count_ = 0, scratch_words_ = 0;
  std::vector<std::size_t> word_at_, neuron_at_;  // of each layer, in one network
  std::size_t words_each_ = 0, neurons_each_ = 0;
  Aligned<std::uint64_t> weights_;
  Aligned<std::int64_t> thresholds_;
  Aligned<std::int32_t> offsets_;
};

// One neuron's row of a packed layer, for packing: eight bytes become eight bits.
void pack_layer(std::size_t inputs, std::size_t outputs, const std::uint8_t* weights,
                const std::int32_t* biases, std::uint64_t* words, std::int64_t* thresholds,
                std::int32_t* offsets);

}  // namespace rlcompress::bits
