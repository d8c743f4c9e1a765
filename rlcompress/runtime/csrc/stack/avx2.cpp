// Stack kernels for AVX2 with FMA.
#include <cstring>

#include "layers.h"

#include "../kernels/vector_avx2.h"

namespace rlcompress::stack {
namespace {

constexpr std::size_t kRegisters = 16;
constexpr std::size_t kMostVectors = 3;

struct Spread {
  explicit Spread(std::size_t rest) {
    std::int32_t lanes[8];
    for (std::size_t i = 0; i < 8; ++i) lanes[i] = static_cast<std::int32_t>(i / rest);
    pattern_ = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lanes));
  }
  V operator()(const float* p) const {
    return {_mm256_permutevar8x32_ps(_mm256_loadu_ps(p), pattern_)};
  }

 private:
  __m256i pattern_;
};

inline bool differ(V value, const float* old) {
  return _mm256_movemask_ps(_mm256_cmp_ps(value.v, _mm256_loadu_ps(old), _CMP_NEQ_UQ)) != 0;
}
inline bool differ_half(V, const float*) { return false; }  // vectors have no halves here
inline void store_half(V, float*) {}

void differ_bytes(const std::uint8_t* a, const std::uint8_t* b, std::size_t size,
                  std::uint64_t* bits) {
  std::size_t i = 0;
  for (; i + 32 <= size; i += 32) {
    const __m256i equal =
        _mm256_cmpeq_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + i)),
                          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + i)));
    const std::uint32_t differing = ~static_cast<std::uint32_t>(_mm256_movemask_epi8(equal));
    bits[i / 64] |= static_cast<std::uint64_t>(differing) << i % 64;
  }
  for (; i < size; ++i) bits[i / 64] |= static_cast<std::uint64_t>(a[i] != b[i]) << i % 64;
}

template <std::size_t R>
inline std::size_t append_used(const char* const* in, std::ptrdiff_t at, std::size_t lanes,
                               std::uint32_t first, std::uint32_t* used) {
  __m256i any = _mm256_setzero_si256();
  for (std::size_t r = 0; r < R; ++r) {
    any = _mm256_or_si256(any, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in[r] + at)));
  }
  const __m256i none = _mm256_cmpeq_epi32(any, _mm256_setzero_si256());
  const auto zero = static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(none)));
  std::size_t count = 0;
  for (std::size_t i = 0; i < lanes; ++i) {
    used[count] = first + static_cast<std::uint32_t>(i);
    count += (zero >> i & 1) ^ 1;
  }
  return count;
}

#include "kernels.inl"

}  // namespace

const Kernels& avx2_kernels() {
  static const Kernels kernels = table("avx2");
  return kernels;
}

}  // namespace rlcompress::stack
