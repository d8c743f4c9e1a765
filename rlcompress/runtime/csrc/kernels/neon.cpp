// Kernels for NEON.
#include <cstring>

#include "../kernels.h"
#include "repeat.h"
#include "vector_neon.h"

#define RLC_DOT 0

namespace rlcompress {
namespace {

#include "epilogue.inl"
#include "generic.inl"
#include "planes.inl"

#include "neon.inl"

}  // namespace

const KernelTable& neon_kernels() {
  static const KernelTable table = [] {
    KernelTable t = {};
    t.isa = "neon";
    fill_neon(t);
    return t;
  }();
  return table;
}

}  // namespace rlcompress
