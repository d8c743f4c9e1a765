// Stack kernels for NEON.
#include <cstring>

#include "layers.h"

#include "../kernels/vector_neon.h"

namespace rlcompress::stack {
namespace {

constexpr std::size_t kRegisters = 32;
constexpr std::size_t kMostVectors = 4;

#include "plain_parts.inl"

#include "kernels.inl"

}  // namespace

const Kernels& neon_kernels() {
  static const Kernels kernels = table("neon");
  return kernels;
}

}  // namespace rlcompress::stack
