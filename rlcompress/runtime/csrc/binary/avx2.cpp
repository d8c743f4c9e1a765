// Kernels for AVX2: bits are counted by nibble with a byte shuffle.
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

inline __m256i load(const void* at) { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); }

// Bits of each of four words.
inline __m256i count_words(__m256i words) {
  const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2,
                                         1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i low = _mm256_set1_epi8(15);
  const __m256i first = _mm256_shuffle_epi8(table, _mm256_and_si256(words, low));
  const __m256i second =
      _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(words, 4), low));
  return _mm256_sad_epu8(_mm256_add_epi8(first, second), _mm256_setzero_si256());
}

void fire(const Layer& layer, const std::uint64_t* x, std::uint64_t* out) {
  const std::uint64_t* weights = layer.weights;
  std::uint64_t bits = 0;
  for (std::size_t block = 0; block < layer.blocks; ++block) {
    __m256i counts[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (std::size_t w = 0; w < layer.words; ++w, weights += kLanes) {
      const __m256i word = _mm256_set1_epi64x(static_cast<long long>(x[w]));
      for (int half = 0; half < 2; ++half) {
        const __m256i differ = _mm256_xor_si256(word, load(weights + 4 * half));
        counts[half] = _mm256_add_epi64(counts[half], count_words(differ));
      }
    }
    std::uint64_t fired = 0;
    for (int half = 0; half < 2; ++half) {
      const __m256i limit = load(layer.thresholds + block * kLanes + 4 * half);
      const __m256d less = _mm256_castsi256_pd(_mm256_cmpgt_epi64(limit, counts[half]));
      fired |= static_cast<std::uint64_t>(_mm256_movemask_pd(less)) << (4 * half);
    }
    bits |= fired << (block % 8 * kLanes);
    if (block % 8 == 7 || block + 1 == layer.blocks) {
      out[block / 8] = bits;
      bits = 0;
    }
  }
}

constexpr std::size_t kPlaneWords = 4;
using Vector = __m256i;

inline void store(void* at, Vector v) { _mm256_storeu_si256(static_cast<__m256i*>(at), v); }
inline Vector spread(std::uint64_t word) {
  return _mm256_set1_epi64x(static_cast<long long>(word));
}
inline Vector spread_half(std::uint32_t word) { return _mm256_set1_epi32(static_cast<int>(word)); }
inline Vector exclusive(Vector a, Vector b) { return _mm256_xor_si256(a, b); }
inline Vector both(Vector a, Vector b) { return _mm256_and_si256(a, b); }
inline Vector either(Vector a, Vector b) { return _mm256_or_si256(a, b); }
inline Vector without(Vector a, Vector b) { return _mm256_andnot_si256(b, a); }
template <int kBits>
inline Vector shift_left(Vector v) { return _mm256_slli_epi64(v, kBits); }
template <int kBits>
inline Vector shift_right(Vector v) { return _mm256_srli_epi64(v, kBits); }

inline Vector select(Vector mask, Vector a, Vector b) {
  return exclusive(b, both(mask, exclusive(a, b)));
}

// Byte `b` of word `i` to place 4 b + i: within halves, halves side by side, by pairs.
inline Vector in_order(Vector numbers) {
  const Vector bytes = _mm256_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15,  //
                                        0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
  const Vector pairs = _mm256_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15,  //
                                        0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
  const Vector mixed = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(numbers, bytes), 0xD8);
  return _mm256_shuffle_epi8(mixed, pairs);
}

#include "plain.inl"
#include "slices.inl"

}  // namespace

const Kernels& avx2_kernels() {
  static const Kernels kernels = {"avx2", fire, sums_words, encode_numbers,
                                  kPlaneWords, to_planes, fire_planes, sum_planes};
  return kernels;
}

}  // namespace rlcompress::bits
