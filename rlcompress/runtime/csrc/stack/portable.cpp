// Stack kernels in plain C++.
#include <cstring>

#include "layers.h"

#include "../kernels/vector_plain.h"

namespace rlcompress::stack {
namespace {

constexpr std::size_t kRegisters = 16;
constexpr std::size_t kMostVectors = 2;

#include "plain_parts.inl"

#include "kernels.inl"

}  // namespace

const Kernels& portable_kernels() {
  static const Kernels kernels = table("portable");
  return kernels;
}

}  // namespace rlcompress::stack
