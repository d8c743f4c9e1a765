#include "dispatch.h"

#include <stdexcept>

#include "cpu.h"

namespace rlcompress {
namespace {

std::vector<const KernelTable*> available() {
  std::vector<const KernelTable*> tables;
#if defined(RLC_X86)
  const bool avx2 = cpu().avx2 && cpu().fma;
  if (avx2 && cpu().avx512 && cpu().vbmi && cpu().vnni) tables.push_back(&avx512_kernels());
  if (avx2) tables.push_back(&avx2_kernels());
#elif defined(RLC_ARM64)
  if (cpu().dot_product) tables.push_back(&neon_dot_kernels());
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
