// Images and pools, 32 bytes at a time.

template <std::size_t pixel>
RLC_INLINE std::uint64_t unequal(__m256i a, __m256i b) {
  if constexpr (pixel == 1) {
    return static_cast<std::uint32_t>(~_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b)));
  }
  const __m256 same = _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b));
  return static_cast<std::uint32_t>(~_mm256_movemask_ps(same)) & 0xFFU;
}

template <std::size_t pixel>
inline void differing_elements(const std::uint8_t* a, const std::uint8_t* b, std::size_t count,
                               std::uint64_t* bits) {
  constexpr std::size_t elements = 32 / pixel;
  std::size_t i = 0;
  for (; i + elements <= count; i += elements) {
    bits[i / 64] |= unequal<pixel>(load(a + i * pixel), load(b + i * pixel)) << (i % 64);
  }
  for (; i < count; ++i) {
    const bool other = std::memcmp(a + i * pixel, b + i * pixel, pixel) != 0;
    bits[i / 64] |= std::uint64_t{other} << (i % 64);
  }
}

void differing_in_vectors(const std::uint8_t* a, const std::uint8_t* b, std::size_t pixel,
                          std::size_t count, std::uint64_t* bits) {
  if (pixel == 1) return differing_elements<1>(a, b, count, bits);
  if (pixel == 4) return differing_elements<4>(a, b, count, bits);
  if (pixel == 64) {
    for (std::size_t i = 0; i < count; ++i, a += 64, b += 64) {
      const __m256i other = _mm256_or_si256(_mm256_xor_si256(load(a), load(b)),
                                            _mm256_xor_si256(load(a + 32), load(b + 32)));
      bits[i / 64] |= std::uint64_t{_mm256_testz_si256(other, other) == 0} << (i % 64);
    }
    return;
  }
  differing(a, b, pixel, count, bits);
}

void max_pool_wide_bytes(const PoolLayer& layer, const std::uint8_t* in, std::uint8_t* out,
                         const PoolSpot* spots, std::size_t count) {
  if (layer.channels % 32 == 0) return max_pool<Bytes32>(layer, in, out, spots, count);
  max_pool<Bytes>(layer, in, out, spots, count);
}
