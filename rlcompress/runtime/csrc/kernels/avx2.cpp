// Kernels for AVX2 and FMA.
#include <cstring>

#include "../kernels.h"
#include "repeat.h"
#include "vector_avx2.h"

namespace rlcompress {
namespace {

#include "epilogue.inl"
#include "generic.inl"
#include "planes.inl"

RLC_INLINE __m256i load(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}

#include "avx2_blocks.inl"
#include "avx2_sweep.inl"
#include "avx2_image.inl"

}  // namespace

const KernelTable& avx2_kernels() {
  static const KernelTable table = [] {
    KernelTable t = {};
    t.isa = "avx2";
    fill_generic(t);
    t.byte_tables[0] = {8, 4, 16, 1, true, 2.0F, 1.5F};
    t.float_tables[0] = {8, 1, 8, 1, false, 1.9F, 1.9F};
    t.float_tables[1] = {8, 2, 8, 1, false, 3.2F, 3.2F};
    t.max_pool_bytes = max_pool_wide_bytes;
    t.differing = differing_in_vectors;
    t.sweep_integer = sweep_integer;
    t.sweep_float = sweep_float;
    t.costs = {1.3F, 4.0F, 3.0F, 2.0F};
    t.blocks = blocks;
    return t;
  }();
  return table;
}

}  // namespace rlcompress
