// Eight floats in an AVX2 register.
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace {

struct V {
  static constexpr std::size_t lanes = 8;
  __m256 v;

  static V set(float x) { return {_mm256_set1_ps(x)}; }
  static V lowest() { return set(-HUGE_VALF); }
  static V load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static V from_ints(const std::int32_t* p) {
    return {_mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static V from_bytes(const std::uint8_t* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes))};
  }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
};

inline V add(V a, V b) { return {_mm256_add_ps(a.v, b.v)}; }
inline V sub(V a, V b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline V mul(V a, V b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline V div(V a, V b) { return {_mm256_div_ps(a.v, b.v)}; }
inline V larger(V a, V b) { return {_mm256_max_ps(a.v, b.v)}; }  // a > b ? a : b
inline V smaller(V a, V b) { return {_mm256_min_ps(a.v, b.v)}; }
// a * b + c where no intermediate result needs rounding.
inline V multiply_add_exact(V a, V b, V c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline V where_less(V a, V b, V yes, V no) {
  return {_mm256_blendv_ps(no.v, yes.v, _mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ))};
}
// f32(int(a) + bias) of integers a with |a| < 2^24.
inline V add_integer(V a, std::int32_t bias) {
  return {_mm256_cvtepi32_ps(_mm256_add_epi32(_mm256_cvtps_epi32(a.v), _mm256_set1_epi32(bias)))};
}
// Bytes rint(a) + zero of a in -128..255.
inline void store_bytes(V a, std::int32_t zero, std::uint8_t* p) {
  const __m256i words = _mm256_add_epi32(_mm256_cvtps_epi32(a.v), _mm256_set1_epi32(zero));
  const __m128i halves =
      _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(halves, halves));
}

// Sixteen bytes.
struct Bytes {
  __m128i v;
  static Bytes lowest() { return {_mm_setzero_si128()}; }
  static Bytes load(const std::uint8_t* p) {
    return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))};
  }
  void store(std::uint8_t* p) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); }
};

inline bool differ(Bytes a, Bytes b) {
  return _mm_movemask_epi8(_mm_cmpeq_epi8(a.v, b.v)) != 0xFFFF;
}

inline Bytes larger(Bytes a, Bytes b) { return {_mm_max_epu8(a.v, b.v)}; }

// The positive part, from one zero byte to another.
inline Bytes rectified(Bytes x, std::uint8_t from, std::uint8_t to) {
  const __m128i positive = _mm_subs_epu8(x.v, _mm_set1_epi8(static_cast<char>(from)));
  return {_mm_add_epi8(positive, _mm_set1_epi8(static_cast<char>(to)))};
}

// Thirty-two bytes.
struct Bytes32 {
  __m256i v;
  static Bytes32 lowest() { return {_mm256_setzero_si256()}; }
  static Bytes32 load(const std::uint8_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
  }
  void store(std::uint8_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
};

inline Bytes32 larger(Bytes32 a, Bytes32 b) { return {_mm256_max_epu8(a.v, b.v)}; }

}  // namespace
