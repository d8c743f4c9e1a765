// Dense weights: four columns of eight rows per register, as 16-bit products, which are exact.

// Four columns of eight rows: sums of columns 0 and 1, and of 2 and 3, of each row side by side.
struct WideWeights {
  __m256i low, high;  // rows 0..3 and 4..7

  explicit WideWeights(const std::int8_t* w)
      : low(_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w)))),
        high(_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w + 16)))) {}
};

template <int positions>
inline void block_strip(const BlocksLayer& layer, const Epilogue& e, const std::uint8_t* in,
                        void* out, const Spot* spots) {
  const std::uint8_t* x[positions];
  repeat<positions>([&](auto p) RLC_INLINE_LAMBDA { x[p] = in + spots[p].in; });
  for (std::uint32_t half = 0; half < layer.tiles * 2; ++half) {
    const std::int8_t* w = layer.weight + std::size_t{half / 2} * layer.blocks * 64 + half % 2 * 32;
    __m256i low[positions];
    __m256i high[positions];
    repeat<positions>([&](auto p) RLC_INLINE_LAMBDA {
      low[p] = _mm256_setzero_si256();
      high[p] = _mm256_setzero_si256();
    });
    for (std::uint32_t block = 0; block < layer.blocks; ++block, w += 64) {
      const WideWeights weights(w);
      const std::uint32_t offset = layer.offset[block];
      repeat<positions>([&](auto p) RLC_INLINE_LAMBDA {
        std::int32_t word;
        std::memcpy(&word, x[p] + offset, sizeof word);
        const __m256i values = _mm256_cvtepu8_epi16(_mm_set1_epi32(word));
        low[p] = _mm256_add_epi32(low[p], _mm256_madd_epi16(weights.low, values));
        high[p] = _mm256_add_epi32(high[p], _mm256_madd_epi16(weights.high, values));
      });
    }
    repeat<positions>([&](auto p) RLC_INLINE_LAMBDA {
      // Adding neighbours leaves rows 0 1 4 5 2 3 6 7.
      const __m256i sums = _mm256_permute4x64_epi64(_mm256_hadd_epi32(low[p], high[p]), 0xD8);
      const __m256i acc = _mm256_add_epi32(sums, load(e.integer_bias + half * 8));
      const V h = mul({_mm256_cvtepi32_ps(acc)}, V::load(e.multiplier + half * 8));
      finish(e, h, out, spots[p].out + half * 8);
    });
  }
}

void blocks(const BlocksLayer& layer, const Epilogue& e, const std::uint8_t* in, void* out,
            SpotList spots, std::size_t count) {
  const Spot* end = spots + count;
  for (; end - spots >= 4; spots += 4) block_strip<4>(layer, e, in, out, spots);
  for (; spots < end; ++spots) block_strip<1>(layer, e, in, out, spots);
}
