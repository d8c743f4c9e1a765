// Stack kernels for AVX-512.
#include <cstring>

#include "layers.h"

#include "../kernels/vector_avx512.h"

namespace rlcompress::stack {
namespace {

constexpr std::size_t kRegisters = 32;
constexpr std::size_t kMostVectors = 5;
constexpr __mmask16 kHalf = 0xFF;

struct Spread {
  explicit Spread(std::size_t rest) {
    std::int32_t lanes[16];
    for (std::size_t i = 0; i < 16; ++i) lanes[i] = static_cast<std::int32_t>(i / rest);
    pattern_ = _mm512_loadu_si512(lanes);
  }
  V operator()(const float* p) const {
    return {_mm512_permutexvar_ps(pattern_, _mm512_loadu_ps(p))};
  }

 private:
  __m512i pattern_;
};

inline bool differ(V value, const float* old) {
  return _mm512_cmp_ps_mask(value.v, _mm512_loadu_ps(old), _CMP_NEQ_UQ) != 0;
}
inline bool differ_half(V value, const float* old) {
  return _mm512_mask_cmp_ps_mask(kHalf, value.v, _mm512_maskz_loadu_ps(kHalf, old), _CMP_NEQ_UQ) != 0;
}
inline void store_half(V value, float* out) { _mm512_mask_storeu_ps(out, kHalf, value.v); }

void differ_bytes(const std::uint8_t* a, const std::uint8_t* b, std::size_t size,
                  std::uint64_t* bits) {
  for (std::size_t i = 0; i < size; i += 64) {
    const __mmask64 part = size - i < 64 ? (~0ULL >> (64 - (size - i))) : ~0ULL;
    bits[i / 64] |= _mm512_cmpneq_epi8_mask(_mm512_maskz_loadu_epi8(part, a + i),
                                            _mm512_maskz_loadu_epi8(part, b + i));
  }
}

// Those of `lanes` consecutive taps from `first` on that are used; `used` has room for a vector.
template <std::size_t R>
inline std::size_t append_used(const char* const* in, std::ptrdiff_t at, std::size_t lanes,
                               std::uint32_t first, std::uint32_t* used) {
  __m512i any = _mm512_loadu_si512(in[0] + at);
  for (std::size_t r = 1; r < R; ++r) any = _mm512_or_si512(any, _mm512_loadu_si512(in[r] + at));
  const auto wanted = static_cast<__mmask16>((1U << lanes) - 1);
  const __mmask16 mask = _mm512_mask_test_epi32_mask(wanted, any, any);
  const __m512i taps = _mm512_add_epi32(
      _mm512_set1_epi32(static_cast<int>(first)),
      _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  _mm512_storeu_si512(used, _mm512_maskz_compress_epi32(mask, taps));
  return static_cast<std::size_t>(__builtin_popcount(mask));
}

#include "kernels.inl"

}  // namespace

const Kernels& avx512_kernels() {
  static const Kernels kernels = table("avx512");
  return kernels;
}

}  // namespace rlcompress::stack
