// Kernels in plain C++, for processors without anything better.
#include <cstring>

#include "../kernels/repeat.h"
#include "slices.h"

namespace rlcompress::bits {
namespace {

inline std::int64_t count_bits(std::uint64_t word) {
  word -= word >> 1 & 0x5555555555555555U;
  word = (word & 0x3333333333333333U) + (word >> 2 & 0x3333333333333333U);
  word = (word + (word >> 4)) & 0x0F0F0F0F0F0F0F0FU;
  return static_cast<std::int64_t>(word * 0x0101010101010101U >> 56);
}

#include "generic.inl"

constexpr std::size_t kPlaneWords = 1;
using Vector = std::uint64_t;

inline Vector load(const std::uint64_t* at) { return *at; }
inline void store(std::uint64_t* at, Vector v) { *at = v; }
// The lowest byte first, whatever the machine's order.
inline void store(std::uint8_t* at, Vector v) {
  for (int b = 0; b < 8; ++b) at[b] = static_cast<std::uint8_t>(v >> (8 * b));
}
inline Vector spread(std::uint64_t word) { return word; }
inline Vector spread_half(std::uint32_t word) { return std::uint64_t{word} << 32 | word; }
inline Vector exclusive(Vector a, Vector b) { return a ^ b; }
inline Vector both(Vector a, Vector b) { return a & b; }
inline Vector either(Vector a, Vector b) { return a | b; }
inline Vector without(Vector a, Vector b) { return a & ~b; }
inline Vector select(Vector mask, Vector a, Vector b) { return b ^ (mask & (a ^ b)); }
template <int kBits>
inline Vector shift_left(Vector v) { return v << kBits; }
template <int kBits>
inline Vector shift_right(Vector v) { return v >> kBits; }
inline Vector in_order(Vector numbers) { return numbers; }

#include "plain.inl"
#include "slices.inl"

}  // namespace

const Kernels& portable_kernels() {
  static const Kernels kernels = {"portable", fire_words, sums_words, encode_numbers,
                                  kPlaneWords, to_planes, fire_planes, sum_planes};
  return kernels;
}

}  // namespace rlcompress::bits
