// Layers of single bits as ops of a policy: what an image says of them, and how they are run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bits.h"

namespace rlcompress::bits {

// As read from an image: weights packed without gaps, row by row, the first in the lowest bit.
struct LayerNumbers {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<std::uint8_t> weights;
  std::vector<std::int32_t> biases;
};

// A layer ready to run; it may be moved but not copied while in use.
struct PackedLayer {
  Aligned<std::uint64_t> weights;
  Aligned<std::int64_t> thresholds;
  Aligned<std::int32_t> offsets;
  Layer layer;
};

PackedLayer pack(const LayerNumbers& numbers);

// Sums as floats, which hold them exactly.
void sums_as_floats(const Kernels& kernels, const Layer& layer, const std::uint64_t* x, float* z);

// The kernels that suit those of the same name elsewhere: "avx512", "neon_dot" and so on.
const Kernels& kernels_like(const std::string& isa);

}  // namespace rlcompress::bits
