/* What the sources of the runtime share: exact arithmetic and access to values. Not for users. */
#ifndef RLC_INTERNAL_H
#define RLC_INTERNAL_H

#include <float.h>
#include <string.h>

#include "rlc.h"

/* Every operation on floats is to be rounded on its own, in the order that is written: that makes
 * the results the same bits on every machine. A fused multiply-add rounds once instead of twice.
 * Each compiler has its own way of being told so; gcc knows no standard pragma. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif
#if defined(__FAST_MATH__)
#error "rlc needs exact arithmetic: compile it without -ffast-math and -Ofast"
#endif
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "rlc needs floats to be rounded to 32 bits: compile it without x87 (-msse2 -mfpmath=sse)"
#endif

/* Inlined even where code is to be small: one loop for each type of element. */
#if defined(__GNUC__)
#define RLC_INLINE static inline __attribute__((always_inline))
#else
#define RLC_INLINE static inline
#endif

static inline float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static inline float minus_infinity(void) { return float_of(0xFF800000UL); }

/* Not-a-number becomes low. */
static inline float clamp(float x, float low, float high) {
  const float raised = x > low ? x : low;
  return raised < high ? raised : high;
}

RLC_INLINE int32_t integer_at(const void *values, uint32_t kind, uint32_t i) {
  return kind == RLC_SIGNED ? ((const int8_t *)values)[i] : ((const uint8_t *)values)[i];
}

RLC_INLINE float real_at(const void *values, uint32_t kind, uint32_t i) {
  return kind == RLC_FLOAT ? ((const float *)values)[i] : (float)integer_at(values, kind, i);
}

static inline void store(const rlc_store *how, float x, void *values, uint32_t i) {
  if (how->kind == RLC_FLOAT) {
    ((float *)values)[i] = x;
    return;
  }
  /* Adding 1.5 * 2^23 leaves no bits for a fraction: rint, half to even, for all within +-2^22. */
  const float magic = 12582912.0F;
  const float clamped = clamp(x * how->inverse_scale, how->low, how->high);
  const float rounded = (clamped + magic) - magic;
  ((uint8_t *)values)[i] = (uint8_t)(int32_t)rounded;
}

static inline const void *read_at(const rlc_memory *memory, uint32_t place) {
  return place == RLC_OBSERVATION ? memory->observation : memory->scratch + place;
}

#endif
