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

// ---- sweeps: dense layers ----

template <int positions>
inline void sweep_strip(const SweepLayer& layer, const Epilogue& e, const std::uint8_t* in,
                        void* out, const Spot* spots) {
  const std::uint8_t* x[positions];
  for (int p = 0; p < positions; ++p) x[p] = in + spots[p].in;
  const auto* weight = static_cast<const std::int8_t*>(layer.weight);
  for (std::uint32_t tile = 0; tile < layer.tiles; ++tile) {
    __m512i acc[positions];
    for (int p = 0; p < positions; ++p) acc[p] = load(e.integer_bias + tile * 16);
    const std::uint32_t end = layer.begin[tile + 1];
    for (std::uint32_t step = layer.begin[tile]; step < end; ++step) {
      const __m512i index = load(layer.index + std::size_t{step} * 64);
      const __m512i w = load(weight + std::size_t{step} * 64);
      const std::uint32_t offset = layer.offset[step];
      for (int p = 0; p < positions; ++p) {
        const __m512i values =
            _mm512_permutex2var_epi8(load(x[p] + offset), index, load(x[p] + offset + 64));
        acc[p] = _mm512_dpbusd_epi32(acc[p], values, w);
      }
    }
    for (int p = 0; p < positions; ++p) {
      finish_register(e, acc[p], tile * 16, out, spots[p].out);
    }
  }
}

void sweep_integer(const SweepLayer& layer, const Epilogue& e, const std::uint8_t* in, void* out,
                   SpotList spots, std::size_t count) {
  std::size_t s = 0;
  for (; s + 4 <= count; s += 4) sweep_strip<4>(layer, e, in, out, spots + s);
  for (; s < count; ++s) sweep_strip<1>(layer, e, in, out, spots + s);
}

// Sixteen rows, one column each, per step; rows meet their columns in ascending order.
inline __m512 sweep_products(const SweepLayer& layer, std::uint32_t step, __m512 low, __m512 high) {
  const __m128i bytes = _mm_loadu_si128(
      reinterpret_cast<const __m128i*>(layer.index + std::size_t{step} * 16));
  const __m512 values = _mm512_permutex2var_ps(low, _mm512_cvtepu8_epi32(bytes), high);
  const auto* weight = static_cast<const float*>(layer.weight);
  return _mm512_mul_ps(values, _mm512_loadu_ps(weight + std::size_t{step} * 16));
}

void sweep_float(const SweepLayer& layer, const Epilogue& e, const float* in, void* out,
                 SpotList spots, std::size_t count) {
  for (std::size_t s = 0; s < count; ++s) {
    const float* x = in + spots[s].in;
    const __m512 low = _mm512_loadu_ps(x);
    const __m512 high = _mm512_loadu_ps(x + 16);
    for (std::uint32_t tile = 0; tile < layer.tiles; ++tile) {
      __m512 acc = _mm512_setzero_ps();
      const std::uint32_t end = layer.begin[tile + 1];
      if (layer.one_window) {
        for (std::uint32_t step = layer.begin[tile]; step < end; ++step) {
          acc = _mm512_add_ps(acc, sweep_products(layer, step, low, high));
        }
      } else {
        for (std::uint32_t step = layer.begin[tile]; step < end; ++step) {
          const float* table = x + layer.offset[step];
          acc = _mm512_add_ps(acc, sweep_products(layer, step, _mm512_loadu_ps(table),
                                                  _mm512_loadu_ps(table + 16)));
        }
      }
      finish(e, scale(e, {acc}, tile * 16), out, spots[s].out + tile * 16);
    }
  }
}

// ---- windows: convolutions ----

inline __m128i quarter(const std::uint8_t* x, std::uint32_t offset) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + offset));
}

inline __m512i load_chunk(const std::uint8_t* x, const Chunk& chunk) {
  __m512i bytes = load(x + chunk.piece[0]);
  switch (chunk.load) {
    case ChunkLoad::Whole:
      break;
    case ChunkLoad::Halves:
      bytes = _mm512_inserti64x4(
          bytes, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + chunk.piece[2])), 1);
      break;
    case ChunkLoad::Quarters:
      bytes = _mm512_inserti32x4(bytes, quarter(x, chunk.piece[1]), 1);
      [[fallthrough]];
    case ChunkLoad::LastQuarters:
      bytes = _mm512_inserti32x4(bytes, quarter(x, chunk.piece[2]), 2);
      [[fallthrough]];
    case ChunkLoad::LastQuarter:
      bytes = _mm512_inserti32x4(bytes, quarter(x, chunk.piece[3]), 3);
      break;
  }
  return bytes;
}

template <int tiles, int positions>
inline void window_steps(const std::uint8_t*& step, const std::uint8_t*& count,
                         const __m512i* even, const __m512i* odd, __m512i (*acc)[positions]) {
  for (int t = 0; t < tiles; ++t) {
    for (int n = *count++; n > 0; --n, step += 128) {
      const __m512i index = load(step);
      const __m512i w = load(step + 64);
      for (int p = 0; p < positions; ++p) {
        const __m512i values = _mm512_permutex2var_epi8(even[p], index, odd[p]);
        acc[t][p] = _mm512_dpbusd_epi32(acc[t][p], values, w);
      }
    }
  }
}

template <int tiles, int positions>
inline void window_strip(const WindowsLayer& layer, const Epilogue& e, const std::uint8_t* const* x,
                         void* out, const std::uint32_t* to, std::uint32_t group) {
  const std::uint32_t tile = group * kTileGroup;
  const std::uint8_t* step = layer.step + std::size_t{layer.begin[group]} * 128;
  const std::uint32_t pairs = layer.chunks > 2 ? layer.chunks - 1 : 1;
  const std::uint8_t* count = layer.count + std::size_t{tile} * pairs;
  __m512i acc[tiles][positions];
  __m512i even[positions];
  __m512i odd[positions];
  for (int t = 0; t < tiles; ++t) {
    for (int p = 0; p < positions; ++p) acc[t][p] = load(e.integer_bias + (tile + t) * 16);
  }
  for (int p = 0; p < positions; ++p) {
    even[p] = load_chunk(x[p], layer.chunk[0]);
    odd[p] = even[p];
  }
  for (std::uint32_t c = 1; c < layer.chunks; ++c) {
    if (c % 2 == 0) {
      for (int p = 0; p < positions; ++p) even[p] = load_chunk(x[p], layer.chunk[c]);
    } else {
      for (int p = 0; p < positions; ++p) odd[p] = load_chunk(x[p], layer.chunk[c]);
    }
    window_steps<tiles, positions>(step, count, even, odd, acc);
  }
  if (layer.chunks == 1) window_steps<tiles, positions>(step, count, even, odd, acc);
  for (int p = 0; p < positions; ++p) {
    for (int t = 0; t < tiles; ++t) {
      finish_register(e, acc[t][p], (tile + t) * 16, out, to[p]);
    }
  }
}

// All positions of one group of tiles; what is left over at the end repeats the last position.
template <int tiles, int positions>
inline void window_group(const WindowsLayer& layer, const Epilogue& e, const std::uint8_t* in,
                         void* out, SpotList spots, std::size_t count, std::uint32_t group) {
  for (std::size_t s = 0; s < count; s += positions) {
    const std::uint8_t* x[positions];
    std::uint32_t to[positions];
    for (std::size_t p = 0; p < positions; ++p) {
      const Spot spot = spots[s + p < count ? s + p : count - 1];
      x[p] = in + spot.in;
      to[p] = spot.out;
    }
    window_strip<tiles, positions>(layer, e, x, out, to, group);
  }
}

void windows(const WindowsLayer& layer, const Epilogue& e, const std::uint8_t* in, void* out,
             SpotList spots, std::size_t count) {
  for (std::uint32_t group = 0; group * kTileGroup < layer.tiles; ++group) {
    switch (layer.tiles - group * kTileGroup) {
      case 1:
        window_group<1, 8>(layer, e, in, out, spots, count, group);
        break;
      case 2:
        window_group<2, 6>(layer, e, in, out, spots, count, group);
        break;
      case 3:
        window_group<3, 4>(layer, e, in, out, spots, count, group);
        break;
      default:
        window_group<4, 4>(layer, e, in, out, spots, count, group);
    }
  }
}

}  // namespace

const KernelTable& avx512_kernels() {
  static const KernelTable table = [] {
    KernelTable t = {};
    t.isa = "avx512";
    fill_generic(t);
    t.blocks = blocks;
    t.byte_table = {16, 4, 128, 64};
    t.float_table = {16, 1, 32, 16};
    t.byte_windows = true;
    t.sweep_integer = sweep_integer;
    t.sweep_float = sweep_float;
    t.windows = windows;
    return t;
  }();
  return table;
}

}  // namespace rlcompress
