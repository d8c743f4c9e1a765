// Four floats in a NEON register.
#pragma once

#include <arm_neon.h>

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace {

struct V {
  static constexpr std::size_t lanes = 4;
  float32x4_t v;

  static V set(float x) { return {vdupq_n_f32(x)}; }
  static V lowest() { return set(-HUGE_VALF); }
  static V load(const float* p) { return {vld1q_f32(p)}; }
  static V from_ints(const std::int32_t* p) { return {vcvtq_f32_s32(vld1q_s32(p))}; }
  static V from_bytes(const std::uint8_t* p) {
    std::uint32_t word;
    __builtin_memcpy(&word, p, sizeof word);
    const uint8x8_t bytes = vreinterpret_u8_u32(vdup_n_u32(word));
    return {vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes))))};
  }
  void store(float* p) const { vst1q_f32(p, v); }
};

inline V add(V a, V b) { return {vaddq_f32(a.v, b.v)}; }
inline V sub(V a, V b) { return {vsubq_f32(a.v, b.v)}; }
inline V mul(V a, V b) { return {vmulq_f32(a.v, b.v)}; }
inline V div(V a, V b) { return {vdivq_f32(a.v, b.v)}; }
// Not vmaxq and vminq, which give something else for not-a-number.
inline V larger(V a, V b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
inline V smaller(V a, V b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
// a * b + c where no intermediate result needs rounding.
inline V multiply_add_exact(V a, V b, V c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
inline V where_less(V a, V b, V yes, V no) {
  return {vbslq_f32(vcltq_f32(a.v, b.v), yes.v, no.v)};
}
// f32(int(a) + bias) of integers a with |a| < 2^24.
inline V add_integer(V a, std::int32_t bias) {
  return {vcvtq_f32_s32(vaddq_s32(vcvtq_s32_f32(a.v), vdupq_n_s32(bias)))};
}
// Bytes rint(a) + zero of a in -128..255.
inline void store_bytes(V a, std::int32_t zero, std::uint8_t* p) {
  const int32x4_t words = vaddq_s32(vcvtnq_s32_f32(a.v), vdupq_n_s32(zero));
  const uint16x4_t halves = vqmovun_s32(words);
  const uint8x8_t bytes = vqmovn_u16(vcombine_u16(halves, halves));
  const std::uint32_t word = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
  __builtin_memcpy(p, &word, sizeof word);
}

// Sixteen bytes.
struct Bytes {
  uint8x16_t v;
  static Bytes lowest() { return {vdupq_n_u8(0)}; }
  static Bytes load(const std::uint8_t* p) { return {vld1q_u8(p)}; }
  void store(std::uint8_t* p) const { vst1q_u8(p, v); }
};

inline bool differ(Bytes a, Bytes b) { return vmaxvq_u8(veorq_u8(a.v, b.v)) != 0; }

inline Bytes larger(Bytes a, Bytes b) { return {vmaxq_u8(a.v, b.v)}; }

// The positive part, from one zero byte to another.
inline Bytes rectified(Bytes x, std::uint8_t from, std::uint8_t to) {
  return {vaddq_u8(vqsubq_u8(x.v, vdupq_n_u8(from)), vdupq_n_u8(to))};
}

}  // namespace
