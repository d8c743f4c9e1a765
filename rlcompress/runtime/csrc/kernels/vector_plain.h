// Four floats in plain C++, for machines without vector code of their own.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace {

struct V {
  static constexpr std::size_t lanes = 4;
  float v[4];

  static V set(float x) { return {{x, x, x, x}}; }
  static V lowest() { return set(-HUGE_VALF); }
  static V load(const float* p) {
    V r;
    std::memcpy(r.v, p, sizeof r.v);
    return r;
  }
  static V from_ints(const std::int32_t* p) {
    V r;
    for (int i = 0; i < 4; ++i) r.v[i] = static_cast<float>(p[i]);
    return r;
  }
  static V from_bytes(const std::uint8_t* p) {
    V r;
    for (int i = 0; i < 4; ++i) r.v[i] = static_cast<float>(p[i]);
    return r;
  }
  void store(float* p) const { std::memcpy(p, v, sizeof v); }
};

// Nearest integer, halves to even, of |x| <= 2^22 (adding 1.5 * 2^23 leaves no room for a fraction).
inline std::int32_t nearest(float x) {
  const float shifted = x + 12582912.0F;
  std::int32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  return bits - 0x4B400000;
}

template <class Operation>
inline V each(V a, V b, Operation operation) {
  V r;
  for (int i = 0; i < 4; ++i) r.v[i] = operation(a.v[i], b.v[i]);
  return r;
}

inline V add(V a, V b) { return each(a, b, [](float x, float y) { return x + y; }); }
inline V sub(V a, V b) { return each(a, b, [](float x, float y) { return x - y; }); }
inline V mul(V a, V b) { return each(a, b, [](float x, float y) { return x * y; }); }
inline V div(V a, V b) { return each(a, b, [](float x, float y) { return x / y; }); }
inline V larger(V a, V b) { return each(a, b, [](float x, float y) { return x > y ? x : y; }); }
inline V smaller(V a, V b) { return each(a, b, [](float x, float y) { return x < y ? x : y; }); }
// a * b + c where no intermediate result needs rounding.
inline V multiply_add_exact(V a, V b, V c) { return add(mul(a, b), c); }
inline V where_less(V a, V b, V yes, V no) {
  V r;
  for (int i = 0; i < 4; ++i) r.v[i] = a.v[i] < b.v[i] ? yes.v[i] : no.v[i];
  return r;
}
// f32(int(a) + bias) of integers a with |a| < 2^24.
inline V add_integer(V a, std::int32_t bias) {
  V r;
  for (int i = 0; i < 4; ++i) {
    r.v[i] = static_cast<float>(static_cast<std::int32_t>(a.v[i]) + bias);
  }
  return r;
}
// Bytes rint(a) + zero of a in -128..255.
inline void store_bytes(V a, std::int32_t zero, std::uint8_t* p) {
  for (int i = 0; i < 4; ++i) p[i] = static_cast<std::uint8_t>(nearest(a.v[i]) + zero);
}

// Sixteen bytes.
struct Bytes {
  std::uint8_t v[16];
  static Bytes lowest() { return {}; }
  static Bytes load(const std::uint8_t* p) {
    Bytes r;
    std::memcpy(r.v, p, 16);
    return r;
  }
  void store(std::uint8_t* p) const { std::memcpy(p, v, 16); }
};

inline bool differ(Bytes a, Bytes b) { return std::memcmp(a.v, b.v, 16) != 0; }

inline Bytes larger(Bytes a, Bytes b) {
  Bytes r;
  for (int i = 0; i < 16; ++i) r.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
  return r;
}

// The positive part, from one zero byte to another.
inline Bytes rectified(Bytes x, std::uint8_t from, std::uint8_t to) {
  Bytes r;
  for (int i = 0; i < 16; ++i) {
    r.v[i] = static_cast<std::uint8_t>((x.v[i] > from ? x.v[i] - from : 0) + to);
  }
  return r;
}

}  // namespace
