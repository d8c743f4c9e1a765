// Dense weights: four columns of sixteen rows per instruction.

RLC_INLINE __m512i four_bytes(const std::uint8_t* p) {
  std::int32_t word;
  std::memcpy(&word, p, sizeof word);
  return _mm512_set1_epi32(word);
}

// Weights are loaded once for all positions, inputs once for all tiles.
template <int tiles, int positions>
inline void block_strip(const BlocksLayer& layer, const Finish& finish, const std::uint8_t* in,
                        void* out, const Spot* spots, std::uint32_t tile) {
  __m512i acc[positions][tiles];
  const std::uint8_t* x[positions];
  const std::size_t stride = std::size_t{layer.blocks} * 64;
  const std::int8_t* w = layer.weight + tile * stride;
  repeat<positions>([&](auto p) RLC_INLINE_LAMBDA {
    x[p] = in + spots[p].in;
    repeat<tiles>([&](auto t) RLC_INLINE_LAMBDA {
      acc[p][t] = load(finish.e.integer_bias + (tile + t) * 16);
    });
  });
  for (std::uint32_t block = 0; block < layer.blocks; ++block, w += 64) {
    const std::uint32_t offset = layer.offset[block];
    __m512i weights[tiles];
    repeat<tiles>([&](auto t) RLC_INLINE_LAMBDA { weights[t] = load(w + t * stride); });
    repeat<positions>([&](auto p) RLC_INLINE_LAMBDA {
      const __m512i values = four_bytes(x[p] + offset);
      repeat<tiles>([&](auto t) RLC_INLINE_LAMBDA {
        dot(acc[p][t], values, weights[t]);
      });
    });
  }
  repeat<positions>([&](auto p) RLC_INLINE_LAMBDA {
    if constexpr (tiles == 4) {
      finish.tiles(acc[p], tile * 16, out, spots[p].out);
    } else {
      repeat<tiles>([&](auto t) RLC_INLINE_LAMBDA {
        finish.one(acc[p][t], (tile + t) * 16, out, spots[p].out);
      });
    }
  });
}

// One tile of one position. A sum would wait for the one before, so there are four.
inline void block_alone(const BlocksLayer& layer, const Finish& finish, const std::uint8_t* x,
                        void* out, std::size_t at, std::uint32_t tile) {
  const std::int8_t* w = layer.weight + tile * std::size_t{layer.blocks} * 64;
  __m512i acc[4] = {load(finish.e.integer_bias + tile * 16), _mm512_setzero_si512(),
                    _mm512_setzero_si512(), _mm512_setzero_si512()};
  std::uint32_t block = 0;
  for (; block + 4 <= layer.blocks; block += 4, w += 256) {
    repeat<4>([&](auto i) RLC_INLINE_LAMBDA {
      dot(acc[i], four_bytes(x + layer.offset[block + i]), load(w + 64 * i));
    });
  }
  for (; block < layer.blocks; ++block, w += 64) {
    dot(acc[0], four_bytes(x + layer.offset[block]), load(w));
  }
  const __m512i sum = _mm512_add_epi32(_mm512_add_epi32(acc[0], acc[1]),
                                       _mm512_add_epi32(acc[2], acc[3]));
  finish.one(sum, tile * 16, out, at);
}

// As many accumulators as registers allow beside weights and inputs.
template <int positions>
inline void block_strips(const BlocksLayer& layer, const Finish& finish, const std::uint8_t* in,
                         void* out, const Spot* spots) {
  constexpr int tiles = positions > 4 ? 2 : 4;
  std::uint32_t tile = 0;
  for (; tile + tiles <= layer.tiles; tile += tiles) {
    block_strip<tiles, positions>(layer, finish, in, out, spots, tile);
  }
  for (; tile < layer.tiles; ++tile) {
    if constexpr (positions == 1) {
      block_alone(layer, finish, in + spots[0].in, out, spots[0].out, tile);
    } else {
      block_strip<1, positions>(layer, finish, in, out, spots, tile);
    }
  }
}

void blocks(const BlocksLayer& layer, const Epilogue& e, const std::uint8_t* in, void* out,
            SpotList spots, std::size_t count) {
  const Finish finish(e);
  const Spot* end = spots + count;
  for (; end - spots >= 8; spots += 8) block_strips<8>(layer, finish, in, out, spots);
  for (; end - spots >= 4; spots += 4) block_strips<4>(layer, finish, in, out, spots);
  for (; spots < end; ++spots) block_strips<1>(layer, finish, in, out, spots);
}
