// Kernels for AVX-512 with VBMI (byte permutations) and VNNI (dot products of bytes).
#include <cmath>
#include <cstring>

#include "../kernels.h"
#include "vector_avx512.h"

namespace rlcompress {
namespace {

constexpr float kInfinity = HUGE_VALF;

#include "epilogue.inl"
#include "generic.inl"
#include "planes.inl"

inline __m512i load(const void* p) { return _mm512_loadu_si512(p); }

inline __m512i four_bytes(const std::uint8_t* p) {
  std::int32_t word;
  std::memcpy(&word, p, sizeof word);
  return _mm512_set1_epi32(word);
}

inline void finish_register(const Epilogue& e, __m512i acc, std::size_t row, void* out,
                            std::size_t at) {
  finish(e, mul({_mm512_cvtepi32_ps(acc)}, V::load(e.multiplier + row)), out, at + row);
}

// `tiles` x `positions` accumulators; weights are loaded once for all positions, inputs once for all
// tiles.
template <int tiles, int positions>
inline void block_strip(const BlocksLayer& layer, const Epilogue& e, const std::uint8_t* in,
                        void* out, const Spot* spots, std::uint32_t tile) {
  __m512i acc[tiles][positions];
  const std::size_t stride = std::size_t{layer.blocks} * 64;
  const std::int8_t* w = layer.weight + tile * stride;
  const std::uint8_t* x[positions];
  for (int p = 0; p < positions; ++p) x[p] = in + spots[p].in;
  for (int t = 0; t < tiles; ++t) {
    for (int p = 0; p < positions; ++p) acc[t][p] = load(e.integer_bias + (tile + t) * 16);
  }
  for (std::uint32_t block = 0; block < layer.blocks; ++block, w += 64) {
    const std::uint32_t offset = layer.offset[block];
    __m512i weights[tiles];
    for (int t = 0; t < tiles; ++t) weights[t] = load(w + t * stride);
    for (int p = 0; p < positions; ++p) {
      const __m512i values = four_bytes(x[p] + offset);
      for (int t = 0; t < tiles; ++t) {
        acc[t][p] = _mm512_dpbusd_epi32(acc[t][p], values, weights[t]);
      }
    }
  }
  for (int p = 0; p < positions; ++p) {
    for (int t = 0; t < tiles; ++t) {
      finish_register(e, acc[t][p], (tile + t) * 16, out, spots[p].out);
    }
  }
}

template <int positions>
inline void block_strips(const BlocksLayer& layer, const Epilogue& e, const std::uint8_t* in,
                         void* out, const Spot* spots) {
  std::uint32_t tile = 0;
  for (; tile + 4 <= layer.tiles; tile += 4) {
    block_strip<4, positions>(layer, e, in, out, spots, tile);
  }
  if (tile + 2 <= layer.tiles) {
    block_strip<2, positions>(layer, e, in, out, spots, tile);
    tile += 2;
  }
  if (tile < layer.tiles) block_strip<1, positions>(layer, e, in, out, spots, tile);
}

void blocks(const BlocksLayer& layer, const Epilogue& e, const std::uint8_t* in, void* out,
            SpotList spots, std::size_t count) {
  std::size_t s = 0;
  for (; s + 4 <= count; s += 4) block_strips<4>(layer, e, in, out, spots + s);
  for (; s < count; ++s) block_strips<1>(layer, e, in, out, spots + s);
}

}  // namespace

const KernelTable& avx512_kernels() {
  static const KernelTable table = [] {
    KernelTable t = {};
    t.isa = "avx512";
    fill_generic(t);
    t.blocks = blocks;
    return t;
  }();
  return table;
}

}  // namespace rlcompress
