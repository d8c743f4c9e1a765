#include "dispatch.h"

#include <stdexcept>

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

struct Support {
  bool avx2 = false;
  bool avx512 = false;
};

Support detect() {
  Support support;
  const Registers one = cpuid(1);
  if (cpuid(0).a < 7 || !has(one.c, 27)) return support;  // OSXSAVE
  const unsigned long long states = saved_states();
  const Registers seven = cpuid(7);
  const bool fma = has(one.c, 12);
  support.avx2 = (states & 0x6) == 0x6 && has(seven.b, 5) && fma;
  const bool foundation = has(seven.b, 16) && has(seven.b, 17) && has(seven.b, 30) &&
                          has(seven.b, 31);  // F, DQ, BW, VL
  support.avx512 = (states & 0xE6) == 0xE6 && support.avx2 && foundation && has(seven.c, 1) &&
                   has(seven.c, 11);  // VBMI, VNNI
  return support;
}

#endif

std::vector<const KernelTable*> available() {
  std::vector<const KernelTable*> tables;
#if defined(RLC_X86)
  static const Support support = detect();
  if (support.avx512) tables.push_back(&avx512_kernels());
  if (support.avx2) tables.push_back(&avx2_kernels());
#endif
#if defined(RLC_ARM64)
#if defined(__linux__)
  constexpr unsigned long dot_product = 1UL << 20;  // HWCAP_ASIMDDP
  if ((getauxval(AT_HWCAP) & dot_product) != 0) tables.push_back(&neon_dot_kernels());
#elif defined(__APPLE__)
  tables.push_back(&neon_dot_kernels());  // every Apple processor of this kind has it
#endif
  tables.push_back(&neon_kernels());
#endif
  tables.push_back(&portable_kernels());
  return tables;
}

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const KernelTable* table : available()) names.emplace_back(table->isa);
  return names;
}

const KernelTable& kernels_for(const std::string& isa) {
  std::string names;
  for (const KernelTable* table : available()) {
    if (isa == "auto" || isa == table->isa) return *table;
    names += std::string(", '") + table->isa + "'";
  }
  throw std::invalid_argument("isa must be 'auto'" + names + " on this machine, got '" + isa + "'");
}

}  // namespace rlcompress
