// Sparse layers: each step looks 32 inputs up in 16 bytes, four columns of eight rows. Neighbouring
// products are added in 16 bits; weights are packed so that this cannot saturate.

template <int positions>
RLC_INLINE void sweep_tile(const SweepLayer& layer, std::uint32_t tile,
                           const std::uint8_t* const (&x)[positions], __m256i (&acc)[positions]) {
  const __m256i ones = _mm256_set1_epi16(1);
  const std::size_t begin = layer.begin[tile];
  const std::uint32_t* end = layer.offset + layer.begin[tile + 1];
  const std::uint8_t* step = layer.index + begin * 64;
  for (const std::uint32_t* offset = layer.offset + begin; offset < end; ++offset, step += 64) {
    const __m256i places = load(step);
    const __m256i w = load(step + 32);
    const std::size_t at = *offset;
    repeat<positions>([&](auto p) RLC_INLINE_LAMBDA {
      const auto* table = reinterpret_cast<const __m128i*>(x[p] + at);
      const __m256i both = _mm256_broadcastsi128_si256(_mm_loadu_si128(table));
      const __m256i pairs = _mm256_maddubs_epi16(_mm256_shuffle_epi8(both, places), w);
      acc[p] = _mm256_add_epi32(acc[p], _mm256_madd_epi16(pairs, ones));
    });
  }
}

template <int positions>
inline void sweep_many(const SweepLayer& layer, const Epilogue& e, const std::uint8_t* in,
                       void* out, const Spot* spots) {
  const std::uint8_t* x[positions];
  repeat<positions>([&](auto p) RLC_INLINE_LAMBDA { x[p] = in + spots[p].in; });
  for (std::uint32_t tile = 0; tile < layer.tiles; ++tile) {
    __m256i acc[positions];
    const __m256i bias = load(e.integer_bias + tile * 8);
    repeat<positions>([&](auto p) RLC_INLINE_LAMBDA { acc[p] = bias; });
    sweep_tile<positions>(layer, tile, x, acc);
    repeat<positions>([&](auto p) RLC_INLINE_LAMBDA {
      const V h = mul({_mm256_cvtepi32_ps(acc[p])}, V::load(e.multiplier + tile * 8));
      finish(e, h, out, spots[p].out + tile * 8);
    });
  }
}

void sweep_integer(const SweepLayer& layer, const Epilogue& e, const std::uint8_t* in, void* out,
                   SpotList spots, std::size_t count) {
  const Spot* end = spots + count;
  for (; end - spots >= 8; spots += 8) sweep_many<8>(layer, e, in, out, spots);
  for (; end - spots >= 4; spots += 4) sweep_many<4>(layer, e, in, out, spots);
  for (; spots < end; ++spots) sweep_many<1>(layer, e, in, out, spots);
}

// Eight rows, one or two columns each, per step; rows meet their columns in ascending order.
template <int slots>
inline void sweep_floats(const SweepLayer& layer, const Epilogue& e, const float* x, void* out,
                         std::size_t at) {
  const std::uint8_t* index = layer.index;
  const float* weight = layer.weight;
  const std::uint32_t* offset = layer.offset;
  for (std::uint32_t tile = 0; tile < layer.tiles; ++tile) {
    __m256 acc = _mm256_setzero_ps();
    const std::uint32_t* end = layer.offset + layer.begin[tile + 1];
    for (; offset < end; ++offset, index += 8 * slots, weight += 8 * slots) {
      const __m256 table = _mm256_loadu_ps(x + *offset);
      repeat<slots>([&](auto i) RLC_INLINE_LAMBDA {
        const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(index + 8 * i));
        const __m256 values = _mm256_permutevar8x32_ps(table, _mm256_cvtepu8_epi32(bytes));
        acc = _mm256_add_ps(acc, _mm256_mul_ps(values, _mm256_loadu_ps(weight + 8 * i)));
      });
    }
    finish(e, scale(e, {acc}, tile * 8), out, at + tile * 8);
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
