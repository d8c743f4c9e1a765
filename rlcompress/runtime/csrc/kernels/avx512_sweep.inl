// Sparse layers: each step looks 64 inputs up in 64 or 128 bytes, or 16 in 32 floats.

template <int window>
RLC_INLINE __m512i look_up(const std::uint8_t* table, __m512i places) {
  if constexpr (window == 64) return _mm512_permutexvar_epi8(places, load(table));
  return _mm512_permutex2var_epi8(load(table), places, load(table + 64));
}

// The steps of one tile for several positions.
template <int window, int positions>
RLC_INLINE void sweep_tile(const SweepLayer& layer, std::uint32_t tile,
                           const std::uint8_t* const (&x)[positions], __m512i (&acc)[positions]) {
  const std::size_t begin = layer.begin[tile];
  const std::uint32_t* end = layer.offset + layer.begin[tile + 1];
  const std::uint8_t* step = layer.index + begin * 128;
  for (const std::uint32_t* offset = layer.offset + begin; offset < end; ++offset, step += 128) {
    const __m512i places = load(step);
    const __m512i w = load(step + 64);
    const std::size_t at = *offset;
    // All look-ups first: they take longer than the sums that wait for them.
    __m512i values[positions];
    repeat<positions>(
        [&](auto p) RLC_INLINE_LAMBDA { values[p] = look_up<window>(x[p] + at, places); });
    repeat<positions>(
        [&](auto p) RLC_INLINE_LAMBDA { dot(acc[p], values[p], w); });
  }
}

template <int window, int positions>
inline void sweep_many(const SweepLayer& layer, const Finish& finish, const std::uint8_t* in,
                       void* out, const Spot* spots) {
  const std::uint8_t* x[positions];
  repeat<positions>([&](auto p) RLC_INLINE_LAMBDA { x[p] = in + spots[p].in; });
  for (std::uint32_t tile = 0; tile < layer.tiles; ++tile) {
    __m512i acc[positions];
    const __m512i bias = load(finish.e.integer_bias + tile * 16);
    repeat<positions>([&](auto p) RLC_INLINE_LAMBDA { acc[p] = bias; });
    sweep_tile<window, positions>(layer, tile, x, acc);
    finish.template spread<positions>(acc, tile * 16, out, spots);
  }
}

template <int window>
inline void sweep_one(const SweepLayer& layer, const Finish& finish, const std::uint8_t* in,
                      void* out, Spot spot) {
  const std::uint8_t* const x[1] = {in + spot.in};
  std::uint32_t tile = 0;
  for (; tile + 4 <= layer.tiles; tile += 4) {
    __m512i acc[4];
    repeat<4>([&](auto t) RLC_INLINE_LAMBDA {
      __m512i sum[1] = {load(finish.e.integer_bias + (tile + t) * 16)};
      sweep_tile<window, 1>(layer, tile + t, x, sum);
      acc[t] = sum[0];
    });
    finish.tiles(acc, tile * 16, out, spot.out);
  }
  for (; tile < layer.tiles; ++tile) {
    __m512i sum[1] = {load(finish.e.integer_bias + tile * 16)};
    sweep_tile<window, 1>(layer, tile, x, sum);
    finish.one(sum[0], tile * 16, out, spot.out);
  }
}

template <int window>
inline void sweep_spots(const SweepLayer& layer, const Epilogue& e, const std::uint8_t* in,
                        void* out, SpotList spots, std::size_t count) {
  const Finish finish(e);
  const Spot* end = spots + count;
  for (; end - spots >= 12; spots += 12) sweep_many<window, 12>(layer, finish, in, out, spots);
  for (; end - spots >= 8; spots += 8) sweep_many<window, 8>(layer, finish, in, out, spots);
  for (; end - spots >= 4; spots += 4) sweep_many<window, 4>(layer, finish, in, out, spots);
  const auto left = static_cast<std::size_t>(end - spots);
  if (left == 1) sweep_one<window>(layer, finish, in, out, *spots);
  if (left < 2) return;
  const Spot four[4] = {spots[0], spots[1], spots[left - 1], spots[left - 1]};
  sweep_many<window, 4>(layer, finish, in, out, four);
}

void sweep_integer(const SweepLayer& layer, const Epilogue& e, const std::uint8_t* in, void* out,
                   SpotList spots, std::size_t count) {
  if (layer.window == 64) return sweep_spots<64>(layer, e, in, out, spots, count);
  sweep_spots<128>(layer, e, in, out, spots, count);
}

RLC_INLINE __m512i sixteen_places(const std::uint8_t* p) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

// One tile's sums of several positions. Rows meet their columns in ascending order, as in the
// reference.
template <int slots, int positions>
RLC_INLINE void sweep_float_tile(const SweepLayer& layer, std::uint32_t tile,
                                 const float* const (&x)[positions], __m512 (&acc)[positions]) {
  const std::size_t begin = layer.begin[tile];
  const std::uint32_t* end = layer.offset + layer.begin[tile + 1];
  const std::uint8_t* index = layer.index + begin * 16 * slots;
  const float* weight = layer.weight + begin * 16 * slots;
  repeat<positions>([&](auto p) RLC_INLINE_LAMBDA { acc[p] = _mm512_setzero_ps(); });
  for (const std::uint32_t* offset = layer.offset + begin; offset < end; ++offset) {
    const std::size_t at = *offset;
    __m512i places[slots];
    repeat<slots>(
        [&](auto i) RLC_INLINE_LAMBDA { places[i] = sixteen_places(index + 16 * i); });
    repeat<positions>([&](auto p) RLC_INLINE_LAMBDA {
      const __m512 low = _mm512_loadu_ps(x[p] + at);
      const __m512 high = _mm512_loadu_ps(x[p] + at + 16);
      repeat<slots>([&](auto i) RLC_INLINE_LAMBDA {
        const __m512 values = _mm512_permutex2var_ps(low, places[i], high);
        acc[p] = _mm512_add_ps(acc[p], _mm512_mul_ps(values, _mm512_loadu_ps(weight + 16 * i)));
      });
    });
    index += 16 * slots;
    weight += 16 * slots;
  }
}

// A step's weights of a tile, added to its sums.
template <int slots>
RLC_INLINE __m512 with_float_step(const SweepLayer& layer, std::size_t step, const float* x,
                                  __m512 acc) {
  const float* table = x + layer.offset[step];
  const __m512 low = _mm512_loadu_ps(table);
  const __m512 high = _mm512_loadu_ps(table + 16);
  const std::uint8_t* index = layer.index + step * slots * 16;
  const float* weight = layer.weight + step * slots * 16;
  __m512 product[slots];
  repeat<slots>([&](auto i) RLC_INLINE_LAMBDA {
    const __m512 values = _mm512_permutex2var_ps(low, sixteen_places(index + 16 * i), high);
    product[i] = _mm512_mul_ps(values, _mm512_loadu_ps(weight + 16 * i));
  });
  repeat<slots>([&](auto i) RLC_INLINE_LAMBDA { acc = _mm512_add_ps(acc, product[i]); });
  return acc;
}

// The sums of four neighbouring tiles of one position. A sum waits for the one before, so the tiles
// take turns.
template <int slots>
RLC_INLINE void sweep_float_tiles(const SweepLayer& layer, std::uint32_t tile, const float* x,
                                  __m512 (&acc)[4]) {
  const std::uint32_t* begin = layer.begin + tile;
  std::uint32_t shared = begin[1] - begin[0];
  repeat<4>([&](auto t) RLC_INLINE_LAMBDA {
    const std::uint32_t steps = begin[t + 1] - begin[t];
    shared = steps < shared ? steps : shared;
  });
  __m512 a = _mm512_setzero_ps();
  __m512 b = a;
  __m512 c = a;
  __m512 d = a;
  for (std::uint32_t i = 0; i < shared; ++i) {
    a = with_float_step<slots>(layer, begin[0] + i, x, a);
    b = with_float_step<slots>(layer, begin[1] + i, x, b);
    c = with_float_step<slots>(layer, begin[2] + i, x, c);
    d = with_float_step<slots>(layer, begin[3] + i, x, d);
  }
  acc[0] = a;
  acc[1] = b;
  acc[2] = c;
  acc[3] = d;
  repeat<4>([&](auto t) RLC_INLINE_LAMBDA {
    __m512 sum = acc[t];
    for (std::uint32_t i = begin[t] + shared; i < begin[t + 1]; ++i) {
      sum = with_float_step<slots>(layer, i, x, sum);
    }
    acc[t] = sum;
  });
}

template <int slots>
inline void sweep_floats(const SweepLayer& layer, const Epilogue& e, const float* in, void* out,
                         const Spot& spot) {
  const Finish finish(e);
  const float* const x[1] = {in + spot.in};
  std::uint32_t tile = 0;
  for (; finish.packs_floats() && tile + 4 <= layer.tiles; tile += 4) {
    __m512 acc[4];
    sweep_float_tiles<slots>(layer, tile, x[0], acc);
    __m512i words[4];
    repeat<4>([&](auto t) RLC_INLINE_LAMBDA {
      words[t] = finish.rounded_float(acc[t], (tile + t) * 16);
    });
    _mm512_storeu_si512(static_cast<std::uint8_t*>(out) + spot.out + tile * 16,
                        finish.packed(words[0], words[1], words[2], words[3]));
  }
  for (; tile < layer.tiles; ++tile) {
    __m512 acc[1];
    sweep_float_tile<slots, 1>(layer, tile, x, acc);
    rlcompress::finish(e, scale(e, {acc[0]}, tile * 16), out, spot.out + tile * 16);
  }
}

template <int slots>
inline void sweep_four_floats(const SweepLayer& layer, const Epilogue& e, const float* in,
                              void* out, const Spot* spots) {
  const Finish finish(e);
  const float* const x[4] = {in + spots[0].in, in + spots[1].in, in + spots[2].in,
                             in + spots[3].in};
  for (std::uint32_t tile = 0; tile < layer.tiles; ++tile) {
    __m512 acc[4];
    sweep_float_tile<slots, 4>(layer, tile, x, acc);
    if (finish.packs_floats()) {
      __m512i words[4];
      repeat<4>([&](auto p) RLC_INLINE_LAMBDA {
        words[p] = finish.rounded_float(acc[p], tile * 16);
      });
      finish.scatter(words, tile * 16, out, spots);
    } else {
      repeat<4>([&](auto p) RLC_INLINE_LAMBDA {
        rlcompress::finish(e, scale(e, {acc[p]}, tile * 16), out, spots[p].out + tile * 16);
      });
    }
  }
}

template <int slots>
inline void sweep_float_spots(const SweepLayer& layer, const Epilogue& e, const float* in,
                              void* out, SpotList spots, std::size_t count) {
  const Spot* end = spots + count;
  for (; end - spots >= 4; spots += 4) sweep_four_floats<slots>(layer, e, in, out, spots);
  for (; spots < end; ++spots) sweep_floats<slots>(layer, e, in, out, *spots);
}

void sweep_float(const SweepLayer& layer, const Epilogue& e, const float* in, void* out,
                 SpotList spots, std::size_t count) {
  if (layer.slots == 2) return sweep_float_spots<2>(layer, e, in, out, spots, count);
  sweep_float_spots<1>(layer, e, in, out, spots, count);
}
