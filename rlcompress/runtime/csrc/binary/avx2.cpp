// Kernels for AVX2: bits are counted by nibble with a byte shuffle.
#include <immintrin.h>

#include <cstring>

#include "bits.h"

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

// Neurons `first` .. first + 63 of a layer with whole tables, kept in two registers.
template <bool kTwo>
inline std::uint64_t fire_part(const std::uint8_t* table, std::size_t groups, std::size_t row,
                               const std::uint64_t* x) {
  __m256i low = _mm256_setzero_si256();
  __m256i high = _mm256_setzero_si256();
  for (std::size_t g = 0; g < groups; g += 16) {
    std::uint64_t word = x[g / 16];
    const std::size_t stop = groups - g < 16 ? groups - g : 16;
    for (std::size_t k = 0; k < stop; ++k, word >>= 4) {
      const std::uint8_t* from = table + ((g + k) * 16 + (word & 15)) * row;
      low = _mm256_add_epi8(low, load(from));
      if (kTwo) high = _mm256_add_epi8(high, load(from + 32));
    }
  }
  const std::uint8_t* limits = table + groups * 16 * row;
  // sum < limit where max(sum, limit) is not sum
  const auto fired = [](__m256i sum, __m256i limit) {
    const __m256i same = _mm256_cmpeq_epi8(_mm256_max_epu8(sum, limit), sum);
    return static_cast<std::uint64_t>(~static_cast<std::uint32_t>(_mm256_movemask_epi8(same)));
  };
  std::uint64_t bits = fired(low, load(limits));
  if (kTwo) bits |= fired(high, load(limits + 32)) << 32;
  return bits;
}

void fire_table(const Layer& layer, const void* prepared, const std::uint64_t* x,
                std::uint64_t* out, std::size_t count) {
  const std::size_t out_words = words_of(layer.outputs);
  if (table_bytes(layer) == 0) {
    for (std::size_t s = 0; s < count; ++s) fire(layer, x + s * layer.words, out + s * out_words);
    return;
  }
  const auto* table = static_cast<const std::uint8_t*>(prepared);
  const std::size_t row = table_row(layer);
  const std::size_t groups = (layer.inputs + 3) / 4;
  if (groups == 16 && row == 64) {  // everything known: the loop is unrolled
    for (std::size_t s = 0; s < count; ++s) out[s] = fire_part<true>(table, 16, 64, x + s);
    return;
  }
  for (std::size_t s = 0; s < count; ++s, x += layer.words, out += out_words) {
    for (std::size_t w = 0; w < out_words; ++w) {
      const std::uint8_t* part = table + w * 64;
      out[w] = row - w * 64 >= 64 ? fire_part<true>(part, groups, row, x)
                                  : fire_part<false>(part, groups, row, x);
    }
  }
}

}  // namespace

const Kernels& avx2_kernels() {
  static const Kernels kernels = {"avx2",    fire,        sums_words, fire_table,
                                  sums_each, table_bytes, fill_table, encode_numbers};
  return kernels;
}

}  // namespace rlcompress::bits
