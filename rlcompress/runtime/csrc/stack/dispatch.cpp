#include "../dispatch.h"

#include "layers.h"

namespace rlcompress::stack {

const Kernels& kernels_for(const std::string& isa) {
  const std::string found = rlcompress::kernels_for(isa).isa;
#if defined(RLC_X86)
  if (found == "avx512") return avx512_kernels();
  if (found == "avx2") return avx2_kernels();
#elif defined(RLC_ARM64)
  if (found != "portable") return neon_kernels();
#endif
  return portable_kernels();
}

}  // namespace rlcompress::stack
