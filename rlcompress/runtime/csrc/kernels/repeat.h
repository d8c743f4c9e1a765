// Loops that are gone after compilation, so that arrays indexed by them stay in registers.
#pragma once

#if defined(_MSC_VER)
#define RLC_INLINE __forceinline
#define RLC_INLINE_LAMBDA [[msvc::forceinline]]
#else
#define RLC_INLINE inline __attribute__((always_inline))
#define RLC_INLINE_LAMBDA __attribute__((always_inline))
#endif

namespace {

template <int value>
struct Index {
  static constexpr int number = value;
  constexpr operator int() const { return value; }  // NOLINT: stands for the number
};

template <int count, int at = 0, class Body>
RLC_INLINE void repeat(Body body) {
  if constexpr (at < count) {
    body(Index<at>{});
    repeat<count, at + 1>(body);
  }
}

}  // namespace
