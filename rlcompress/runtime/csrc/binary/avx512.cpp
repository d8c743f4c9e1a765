// Kernels for AVX-512 with VPOPCNTDQ: eight neurons at a time, their bits straight from a compare.
#include <immintrin.h>

#include <cstring>

#include "../kernels/repeat.h"
#include "slices.h"

namespace rlcompress::bits {
namespace {

inline std::int64_t count_bits(std::uint64_t word) {
  return static_cast<std::int64_t>(_mm_popcnt_u64(word));
}

#include "generic.inl"

inline __m512i load(const void* at) { return _mm512_loadu_si512(at); }

inline __mmask8 fire_block(const std::uint64_t* weights, const std::int64_t* thresholds,
                           const std::uint64_t* x, std::size_t words) {
  __m512i counts = _mm512_setzero_si512();
  for (std::size_t w = 0; w < words; ++w, weights += kLanes) {
    const __m512i word = _mm512_set1_epi64(static_cast<long long>(x[w]));
    const __m512i differ = _mm512_xor_si512(word, load(weights));
    counts = _mm512_add_epi64(counts, _mm512_popcnt_epi64(differ));
  }
  return _mm512_cmplt_epi64_mask(counts, load(thresholds));
}

inline std::uint64_t fire_word(const std::uint64_t* weights, const std::int64_t* thresholds,
                               const std::uint64_t* x, std::size_t words) {
  __mmask8 m[8];
  for (std::size_t k = 0; k < 8; ++k) {
    m[k] = fire_block(weights + k * words * kLanes, thresholds + k * kLanes, x, words);
  }
  const __mmask32 low = _mm512_kunpackw(_mm512_kunpackb(m[3], m[2]), _mm512_kunpackb(m[1], m[0]));
  const __mmask32 high = _mm512_kunpackw(_mm512_kunpackb(m[7], m[6]), _mm512_kunpackb(m[5], m[4]));
  return _cvtmask64_u64(_mm512_kunpackd(high, low));
}

void fire(const Layer& layer, const std::uint64_t* x, std::uint64_t* out) {
  if (layer.words == 1 && layer.blocks == 8) {
    out[0] = fire_word(layer.weights, layer.thresholds, x, 1);
    return;
  }
  const std::uint64_t* weights = layer.weights;
  std::uint64_t bits = 0;
  for (std::size_t block = 0; block < layer.blocks; ++block, weights += layer.words * kLanes) {
    const std::uint64_t fired =
        fire_block(weights, layer.thresholds + block * kLanes, x, layer.words);
    bits |= fired << (block % 8 * kLanes);
    if (block % 8 == 7 || block + 1 == layer.blocks) {
      out[block / 8] = bits;
      bits = 0;
    }
  }
}

constexpr std::size_t kPlaneWords = 8;
using Vector = __m512i;

inline void store(void* at, Vector v) { _mm512_storeu_si512(at, v); }
inline Vector spread(std::uint64_t word) {
  return _mm512_set1_epi64(static_cast<long long>(word));
}
inline Vector spread_half(std::uint32_t word) { return _mm512_set1_epi32(static_cast<int>(word)); }
inline Vector exclusive(Vector a, Vector b) { return _mm512_xor_si512(a, b); }
inline Vector both(Vector a, Vector b) { return _mm512_and_si512(a, b); }
inline Vector either(Vector a, Vector b) { return _mm512_or_si512(a, b); }
template <int kBits>
inline Vector shift_left(Vector v) { return _mm512_slli_epi64(v, kBits); }
template <int kBits>
inline Vector shift_right(Vector v) { return _mm512_srli_epi64(v, kBits); }

inline Vector parity(Vector a, Vector b, Vector c) {
  return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}

inline Vector masked_difference(Vector a, Vector b, Vector mask) {
  return _mm512_ternarylogic_epi64(a, b, mask, 0x28);
}

// low + a + b, the carry to the result: what low was where a and b differ, elsewhere they.
// One operation of three inputs and two of two take less time than two of three.
RLC_INLINE Vector add(Vector& low, Vector a, Vector b) {
  const Vector differ = exclusive(a, b);
  const Vector carry = _mm512_ternarylogic_epi64(differ, low, a, 0xCA);
  low = exclusive(low, differ);
  return carry;
}

// A majority of three inputs, each of them turned around where the pattern has a bit.
template <std::size_t kPattern>
inline Vector majority(Vector a, Vector b, Vector c) {
  constexpr unsigned ways[3] = {0xF0, 0xCC, 0xAA};  // each input in the table of eight cases
  constexpr unsigned x = (kPattern & 1) != 0 ? ways[0] ^ 0xFFU : ways[0];
  constexpr unsigned y = (kPattern & 2) != 0 ? ways[1] ^ 0xFFU : ways[1];
  constexpr unsigned z = (kPattern & 4) != 0 ? ways[2] ^ 0xFFU : ways[2];
  return _mm512_ternarylogic_epi64(a, b, c, (x & y) | (x & z) | (y & z));
}

inline void majorities(Vector a, Vector b, Vector c, std::uint64_t* table) {
  repeat<8>([&](auto i) RLC_INLINE_LAMBDA {
    constexpr std::size_t pattern = decltype(i)::number;
    store(table + pattern * kPlaneWords, majority<pattern>(a, b, c));
  });
}

// Byte `b` of word `i` to byte `i` of word `b`.
inline Vector in_order(Vector numbers) {
  alignas(64) static const std::uint8_t order[64] = {
      0, 8,  16, 24, 32, 40, 48, 56, 1, 9,  17, 25, 33, 41, 49, 57, 2, 10, 18, 26, 34, 42,
      50, 58, 3, 11, 19, 27, 35, 43, 51, 59, 4, 12, 20, 28, 36, 44, 52, 60, 5, 13, 21, 29,
      37, 45, 53, 61, 6, 14, 22, 30, 38, 46, 54, 62, 7, 15, 23, 31, 39, 47, 55, 63};
  return _mm512_permutexvar_epi8(load(order), numbers);
}

#include "slices.inl"

void encode(const Encoder& encoder, const float* numbers, std::uint64_t* out) {
  if (encoder.code != Code::Thermometer || encoder.edges_each != 16 || encoder.inputs % 4 != 0) {
    return encode_numbers(encoder, numbers, out);
  }
  const float* edges = encoder.edges.data();
  for (std::size_t i = 0; i < encoder.inputs; i += 4, edges += 64) {
    std::uint64_t bits = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const __m512 number = _mm512_set1_ps(numbers[i + k]);
      const __mmask16 above =
          _mm512_cmp_ps_mask(number, _mm512_loadu_ps(edges + 16 * k), _CMP_GT_OQ);
      bits |= std::uint64_t{above} << (16 * k);
    }
    out[i / 4] = bits;
  }
}

}  // namespace

const Kernels& avx512_kernels() {
  static const Kernels kernels = {"avx512", fire, sums_words, encode,
                                  kPlaneWords, to_planes, fire_planes, sum_planes};
  return kernels;
}

}  // namespace rlcompress::bits
