// Kernels for NEON: two words at a time, counted by byte.
#include <arm_neon.h>

#include <cstring>

#include "bits.h"

namespace rlcompress::bits {
namespace {

inline uint64x2_t count_words(uint64x2_t words) {
  return vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(vcntq_u8(vreinterpretq_u8_u64(words)))));
}

inline std::int64_t count_bits(std::uint64_t word) {
  return static_cast<std::int64_t>(vaddv_u8(vcnt_u8(vcreate_u8(word))));
}

#include "generic.inl"
#include "table.inl"

void fire(const Layer& layer, const std::uint64_t* x, std::uint64_t* out) {
  const std::uint64_t* weights = layer.weights;
  const uint64x2_t place = {1, 2};
  std::uint64_t bits = 0;
  for (std::size_t block = 0; block < layer.blocks; ++block) {
    uint64x2_t counts[4] = {vdupq_n_u64(0), vdupq_n_u64(0), vdupq_n_u64(0), vdupq_n_u64(0)};
    for (std::size_t w = 0; w < layer.words; ++w, weights += kLanes) {
      const uint64x2_t word = vdupq_n_u64(x[w]);
      for (int k = 0; k < 4; ++k) {
        const uint64x2_t differ = veorq_u64(word, vld1q_u64(weights + 2 * k));
        counts[k] = vaddq_u64(counts[k], count_words(differ));
      }
    }
    std::uint64_t fired = 0;
    for (int k = 0; k < 4; ++k) {
      const int64x2_t limit = vld1q_s64(layer.thresholds + block * kLanes + 2 * k);
      const uint64x2_t less = vcltq_s64(vreinterpretq_s64_u64(counts[k]), limit);
      fired |= vaddvq_u64(vandq_u64(less, place)) << (2 * k);
    }
    bits |= fired << (block % 8 * kLanes);
    if (block % 8 == 7 || block + 1 == layer.blocks) {
      out[block / 8] = bits;
      bits = 0;
    }
  }
}

}  // namespace

const Kernels& neon_kernels() {
  static const Kernels kernels = {"neon",    fire,        sums_words, fire_table,
                                  sums_each, table_bytes, fill_table, encode_numbers};
  return kernels;
}

}  // namespace rlcompress::bits
