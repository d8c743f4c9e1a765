// Stack kernels for AVX-512.
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

#include "kernels.inl"

}  // namespace

const Kernels& avx512_kernels() {
  static const Kernels kernels = table("avx512");
  return kernels;
}

}  // namespace rlcompress::stack
