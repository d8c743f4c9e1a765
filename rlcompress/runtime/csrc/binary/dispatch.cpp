#include <stdexcept>

#include "../cpu.h"
#include "bits.h"

namespace rlcompress::bits {
namespace {

const std::vector<const Kernels*>& available() {
  static const std::vector<const Kernels*> kernels = [] {
    std::vector<const Kernels*> found;
#if defined(RLC_X86)
    const bool avx2 = cpu().avx2 && cpu().popcnt;
    if (avx2 && cpu().vbmi && cpu().vpopcntdq) found.push_back(&avx512_kernels());
    if (avx2) found.push_back(&avx2_kernels());
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
