#include "cpu.h"

#if defined(RLC_X86) && defined(_MSC_VER)
#include <intrin.h>
#elif defined(RLC_X86)
#include <cpuid.h>
#elif defined(RLC_ARM64) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace rlcompress {
namespace {

#if defined(RLC_X86)

struct Registers {
  unsigned a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(unsigned leaf) {
  Registers r;
#if defined(_MSC_VER)
  int words[4];
  __cpuidex(words, static_cast<int>(leaf), 0);
  r = {unsigned(words[0]), unsigned(words[1]), unsigned(words[2]), unsigned(words[3])};
#else
  __get_cpuid_count(leaf, 0, &r.a, &r.b, &r.c, &r.d);
#endif
  return r;
}

// Register states that the operating system saves (XCR0).
unsigned long long saved_states() {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  unsigned low = 0;
  unsigned high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<unsigned long long>(high) << 32 | low;
#endif
}

bool has(unsigned word, int bit) { return (word >> bit & 1U) != 0; }

Cpu detect() {
  Cpu found;
  const Registers one = cpuid(1);
  found.popcnt = has(one.c, 23);
  if (cpuid(0).a < 7 || !has(one.c, 27)) return found;  // OSXSAVE
  const unsigned long long states = saved_states();
  const Registers seven = cpuid(7);
  found.avx2 = (states & 0x6) == 0x6 && has(seven.b, 5);
  found.fma = found.avx2 && has(one.c, 12);
  found.avx512 = found.avx2 && (states & 0xE6) == 0xE6 && has(seven.b, 16) && has(seven.b, 17) &&
                 has(seven.b, 30) && has(seven.b, 31);
  found.vbmi = found.avx512 && has(seven.c, 1);
  found.vnni = found.avx512 && has(seven.c, 11);
  found.vpopcntdq = found.avx512 && has(seven.c, 14);
  return found;
}

#elif defined(RLC_ARM64) && defined(__linux__)

Cpu detect() {
  Cpu found;
  found.dot_product = (getauxval(AT_HWCAP) & 1UL << 20) != 0;  // HWCAP_ASIMDDP
  return found;
}

#else

Cpu detect() {
  Cpu found;
#if defined(RLC_ARM64) && defined(__APPLE__)
  found.dot_product = true;  // every Apple processor of this kind has it
#endif
  return found;
}

#endif

}  // namespace

const Cpu& cpu() {
  static const Cpu found = detect();
  return found;
}

}  // namespace rlcompress
