// Kernels in plain C++ for any machine.
#include <cstring>

#include "../kernels.h"
#include "repeat.h"
#include "vector_plain.h"

namespace rlcompress {
namespace {

#include "epilogue.inl"
#include "generic.inl"
#include "planes.inl"

void blocks(const BlocksLayer& layer, const Epilogue& e, const std::uint8_t* in, void* out,
            SpotList spots, std::size_t count) {
  for (std::size_t s = 0; s < count; ++s) {
    for (std::uint32_t tile = 0; tile < layer.tiles; ++tile) {
      std::int32_t acc[16];
      std::memcpy(acc, e.integer_bias + tile * 16, sizeof acc);
      const std::int8_t* w = layer.weight + std::size_t{tile} * layer.blocks * 64;
      for (std::uint32_t block = 0; block < layer.blocks; ++block, w += 64) {
        const std::uint8_t* x = in + spots[s].in + layer.offset[block];
        for (int i = 0; i < 16; ++i) {
          int sum = 0;
          for (int k = 0; k < 4; ++k) sum += x[k] * w[i * 4 + k];
          acc[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(acc[i]) +
                                             static_cast<std::uint32_t>(sum));
        }
      }
      finish_integers(e, acc, tile * 16, out, spots[s].out + tile * 16);
    }
  }
}

}  // namespace

const KernelTable& portable_kernels() {
  static const KernelTable table = [] {
    KernelTable t = {};
    t.isa = "portable";
    fill_generic(t);
    t.planes_for_bytes = true;
    t.costs = {1.5F, 88.0F, 88.0F, 10.0F};
    t.blocks = blocks;
    return t;
  }();
  return table;
}

}  // namespace rlcompress
