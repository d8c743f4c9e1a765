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
        [&](auto p) RLC_INLINE_LAMBDA { acc[p] = _mm512_dpbusd_epi32(acc[p], values[p], w); });
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

// One tile's sums. Rows meet their columns in ascending order, as in the reference.
template <int slots>
RLC_INLINE __m512 sweep_float_tile(const SweepLayer& layer, std::uint32_t tile, const float* x) {
  const std::size_t begin = layer.begin[tile];
  const std::uint32_t* end = layer.offset + layer.begin[tile + 1];
  const std::uint8_t* index = layer.index + begin * 16 * slots;
  const float* weight = layer.weight + begin * 16 * slots;
  __m512 acc = _mm512_setzero_ps();
  for (const std::uint32_t* offset = layer.offset + begin; offset < end; ++offset) {
    const __m512 low = _mm512_loadu_ps(x + *offset);
    const __m512 high = _mm512_loadu_ps(x + *offset + 16);
    repeat<slots>([&](auto i) RLC_INLINE_LAMBDA {
      const __m512 values = _mm512_permutex2var_ps(low, sixteen_places(index + 16 * i), high);
      acc = _mm512_add_ps(acc, _mm512_mul_ps(values, _mm512_loadu_ps(weight + 16 * i)));
    });
    index += 16 * slots;
    weight += 16 * slots;
  }
  return acc;
}

template <int slots>
inline void sweep_floats(const SweepLayer& layer, const Epilogue& e, const float* x, void* out,
                         std::size_t at) {
  const Finish finish(e);
  std::uint32_t tile = 0;
  for (; finish.packs_floats() && tile + 4 <= layer.tiles; tile += 4) {
    __m512i words[4];
    repeat<4>([&](auto t) RLC_INLINE_LAMBDA {
      const __m512 acc = sweep_float_tile<slots>(layer, tile + t, x);
      words[t] = finish.rounded_float(acc, (tile + t) * 16);
    });
    _mm512_storeu_si512(static_cast<std::uint8_t*>(out) + at + tile * 16,
                        finish.packed(words[0], words[1], words[2], words[3]));
  }
  for (; tile < layer.tiles; ++tile) {
    const __m512 acc = sweep_float_tile<slots>(layer, tile, x);
    rlcompress::finish(e, scale(e, {acc}, tile * 16), out, at + tile * 16);
  }
}

void sweep_float(const SweepLayer& layer, const Epilogue& e, const float* in, void* out,
                 SpotList spots, std::size_t count) {
  for (std::size_t s = 0; s < count; ++s) {
    if (layer.slots == 2) {
      sweep_floats<2>(layer, e, in + spots[s].in, out, spots[s].out);
    } else {
      sweep_floats<1>(layer, e, in + spots[s].in, out, spots[s].out);
    }
  }
}
