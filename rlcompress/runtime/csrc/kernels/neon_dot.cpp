// Kernels for NEON with dot products of bytes.
#include <cstring>

#include "../kernels.h"
#include "repeat.h"
#include "vector_neon.h"

#define RLC_DOT 1

namespace rlcompress {
namespace {

#include "epilogue.inl"
#include "generic.inl"
#include "planes.inl"

#include "neon.inl"

}  // namespace

const KernelTable& neon_dot_kernels() {
  static const KernelTable table = [] {
    KernelTable t = {};
    t.isa = "neon_dot";
    fill_neon(t);
    return t;
  }();
  return table;
}

}  // namespace rlcompress
