// Kernels for AVX-512 with VBMI (byte permutations) and VNNI (dot products of bytes).
#include <cstring>

#include "../kernels.h"
#include "repeat.h"
#include "vector_avx512.h"

namespace rlcompress {
namespace {

#include "epilogue.inl"
#include "generic.inl"
#include "planes.inl"

#include "avx512_finish.inl"
#include "avx512_blocks.inl"
#include "avx512_elements.inl"
#include "avx512_image.inl"
#include "avx512_sweep.inl"

}  // namespace

const KernelTable& avx512_kernels() {
  static const KernelTable table = [] {
    KernelTable t = {};
    t.isa = "avx512";
    fill_generic(t);
    t.byte_tables[0] = {16, 4, 64, 16, false, 3.5F, 1.8F};
    t.byte_tables[1] = {16, 4, 64, 32, false, 3.5F, 1.4F};
    t.byte_tables[2] = {16, 4, 128, 32, false, 4.0F, 2.6F};
    t.float_tables[0] = {16, 1, 32, 8, false, 4.0F, 4.0F};
    t.float_tables[1] = {16, 2, 32, 8, false, 5.5F, 5.5F};
    t.costs = {1.3F, 2.0F, 1.08F, 1.2F};
    t.blocks = blocks;
    t.max_pool_bytes = max_pool_wide_bytes;
    t.map_bytes = map_bytes_by_table;
    t.add_bytes = add_bytes_in_blocks;
    t.differing = differing_in_vectors;
    t.place_image = place_image;
    t.sweep_integer = sweep_integer;
    t.sweep_float = sweep_float;
    return t;
  }();
  return table;
}

}  // namespace rlcompress
