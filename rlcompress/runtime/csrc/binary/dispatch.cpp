#include <stdexcept>

#include "bits.h"

#if defined(RLC_X86) && defined(_MSC_VER)
#include <intrin.h>
#elif defined(RLC_X86)
#include <cpuid.h>
#endif

namespace rlcompress::bits {
namespace {

#if defined(RLC_X86)

void cpuid(unsigned leaf, unsigned (&r)[4]) {
#if defined(_MSC_VER)
  int words[4];
  __cpuidex(words, static_cast<int>(leaf), 0);
  for (int i = 0; i < 4; ++i) r[i] = static_cast<unsigned>(words[i]);
#else
  for (unsigned& word : r) word = 0;
  __get_cpuid_count(leaf, 0, &r[0], &r[1], &r[2], &r[3]);
#endif
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

void add_x86(std::vector<const Kernels*>& found) {
  unsigned zero[4], one[4], seven[4];
  cpuid(0, zero);
  cpuid(1, one);
  if (zero[0] < 7 || !has(one[2], 27)) return;  // OSXSAVE
  cpuid(7, seven);
  const unsigned long long states = saved_states();
  const bool avx2 = (states & 0x6) == 0x6 && has(seven[1], 5) && has(one[2], 23);  // and POPCNT
  const bool avx512 = avx2 && (states & 0xE6) == 0xE6 && has(seven[1], 16) && has(seven[1], 17) &&
                      has(seven[1], 30) && has(seven[1], 31) &&  // F, DQ, BW, VL
                      has(seven[2], 1) && has(seven[2], 8) && has(seven[2], 14);  // VBMI, GFNI, VPOPCNTDQ
  if (avx512) found.push_back(&avx512_kernels());
  if (avx2) found.push_back(&avx2_kernels());
}

#endif

const std::vector<const Kernels*>& available() {
  static const std::vector<const Kernels*> kernels = [] {
    std::vector<const Kernels*> found;
#if defined(RLC_X86)
    add_x86(found);
#elif defined(RLC_ARM64)
    found.push_back(&neon_kernels());
#endif
    found.push_back(&portable_kernels());
    return found;
  }();
  return kernels;
}

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Kernels* kernels : available()) names.emplace_back(kernels->isa);
  return names;
}

const Kernels& kernels_for(const std::string& isa) {
  std::string names;
  for (const Kernels* kernels : available()) {
    if (isa == "auto" || isa == kernels->isa) return *kernels;
    names += std::string(", '") + kernels->isa + "'";
  }
  throw std::invalid_argument("isa must be 'auto'" + names + " on this machine, got '" + isa + "'");
}

}  // namespace rlcompress::bits
