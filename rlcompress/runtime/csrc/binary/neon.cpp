// Kernels for NEON: two words at a time, counted by byte.
#include <arm_neon.h>

#include <cstring>

#include "../kernels/repeat.h"
#include "slices.h"

namespace rlcompress::bits {
namespace {

inline uint64x2_t count_words(uint64x2_t words) {
  return vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(vcntq_u8(vreinterpretq_u8_u64(words)))));
}

inline std::int64_t count_bits(std::uint64_t word) {
  return static_cast<std::int64_t>(vaddv_u8(vcnt_u8(vcreate_u8(word))));
}

#include "generic.inl"

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

constexpr std::size_t kPlaneWords = 2;
using Vector = uint64x2_t;

inline Vector load(const std::uint64_t* at) { return vld1q_u64(at); }
inline void store(std::uint64_t* at, Vector v) { vst1q_u64(at, v); }
inline void store(std::uint8_t* at, Vector v) { vst1q_u8(at, vreinterpretq_u8_u64(v)); }
inline Vector spread(std::uint64_t word) { return vdupq_n_u64(word); }
inline Vector spread_half(std::uint32_t word) { return vreinterpretq_u64_u32(vdupq_n_u32(word)); }
inline Vector exclusive(Vector a, Vector b) { return veorq_u64(a, b); }
inline Vector both(Vector a, Vector b) { return vandq_u64(a, b); }
inline Vector either(Vector a, Vector b) { return vorrq_u64(a, b); }
inline Vector without(Vector a, Vector b) { return vbicq_u64(a, b); }
inline Vector select(Vector mask, Vector a, Vector b) { return vbslq_u64(mask, a, b); }
template <int kBits>
inline Vector shift_left(Vector v) { return vshlq_n_u64(v, kBits); }
template <int kBits>
inline Vector shift_right(Vector v) { return vshrq_n_u64(v, kBits); }

// Byte `b` of word `i` to place 2 b + i.
inline Vector in_order(Vector numbers) {
  const uint8x16_t bytes = vreinterpretq_u8_u64(numbers);
  return vreinterpretq_u64_u8(vzip1q_u8(bytes, vextq_u8(bytes, bytes, 8)));
}

#include "plain.inl"
#include "slices.inl"

}  // namespace

const Kernels& neon_kernels() {
  static const Kernels kernels = {"neon", fire, sums_words, encode_numbers,
                                  kPlaneWords, to_planes, fire_planes, sum_planes};
  return kernels;
}

}  // namespace rlcompress::bits
