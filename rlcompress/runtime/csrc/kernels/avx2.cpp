// Kernels for AVX2 and FMA.
#include <cstring>

#include "../kernels.h"
#include "repeat.h"
#include "vector_avx2.h"

namespace rlcompress {
namespace {

#include "epilogue.inl"
#include "generic.inl"
#include "planes.inl"

// One tile of 16 rows: two columns at a time as 16-bit products, which cannot saturate.
inline void block_tile(const BlocksLayer& layer, const std::uint8_t* x, const std::int8_t* w,
                       const std::int32_t* bias, std::int32_t* result) {
  __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bias));
  __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bias + 8));
  __m256i low_pairs = _mm256_setzero_si256();
  __m256i high_pairs = _mm256_setzero_si256();
  (void)low_pairs;
  (void)high_pairs;
  for (std::uint32_t block = 0; block < layer.blocks; ++block, w += 64) {
    std::int32_t four;
    std::memcpy(&four, x + layer.offset[block], 4);
    const __m256i values = _mm256_cvtepu8_epi16(_mm_set1_epi32(four));
    const auto* from = reinterpret_cast<const __m128i*>(w);
    for (int half = 0; half < 2; ++half) {
      const __m256i a = _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128(from + half * 2)), values);
      const __m256i b =
          _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128(from + half * 2 + 1)), values);
      // Each row has two sums side by side; adding them mixes the halves of the registers.
      const __m256i sums = _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xD8);
      if (half == 0) {
        low = _mm256_add_epi32(low, sums);
      } else {
        high = _mm256_add_epi32(high, sums);
      }
    }
  }
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(result), low);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(result + 8), high);
}

void blocks(const BlocksLayer& layer, const Epilogue& e, const std::uint8_t* in, void* out,
            SpotList spots, std::size_t count) {
  for (std::size_t s = 0; s < count; ++s) {
    for (std::uint32_t tile = 0; tile < layer.tiles; ++tile) {
      std::int32_t acc[16];
      block_tile(layer, in + spots[s].in,
                 layer.weight + std::size_t{tile} * layer.blocks * 64,
                 e.integer_bias + tile * 16, acc);
      finish_integers(e, acc, tile * 16, out, spots[s].out + tile * 16);
    }
  }
}

}  // namespace

const KernelTable& avx2_kernels() {
  static const KernelTable table = [] {
    KernelTable t = {};
    t.isa = "avx2";
    fill_generic(t);
    t.planes_for_bytes = true;
    t.blocks = blocks;
    return t;
  }();
  return table;
}

}  // namespace rlcompress
