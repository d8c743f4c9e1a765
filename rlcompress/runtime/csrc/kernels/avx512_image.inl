// Images of four stacked frames into cells of 4 x 4 positions, 64 bytes each.

// Four positions' bytes of four channels, out of as many planes: (channel, position) turned round.
RLC_INLINE __m512i interleaved(const std::uint8_t* in, std::size_t plane) {
  __m512i planes = _mm512_castsi128_si512(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in)));
  repeat<3>([&](auto i) RLC_INLINE_LAMBDA {
    constexpr int c = decltype(i)::number + 1;
    const auto* from = reinterpret_cast<const __m128i*>(in + c * plane);
    planes = _mm512_inserti32x4(planes, _mm_loadu_si128(from), c);
  });
  const __m512i lanes = _mm512_setr_epi32(0x30201000, 0x31211101, 0x32221202, 0x33231303,
                                          0x34241404, 0x35251505, 0x36261606, 0x37271707,
                                          0x38281808, 0x39291909, 0x3A2A1A0A, 0x3B2B1B0B,
                                          0x3C2C1C0C, 0x3D2D1D0D, 0x3E2E1E0E, 0x3F2F1F0F);
  return _mm512_permutexvar_epi8(lanes, planes);
}

// Four cells from sixteen positions of four rows.
RLC_INLINE void store_cells(const __m512i (&row)[4], std::uint8_t* out) {
  const __m512i a = _mm512_shuffle_i32x4(row[0], row[1], 0x44);
  const __m512i b = _mm512_shuffle_i32x4(row[2], row[3], 0x44);
  const __m512i c = _mm512_shuffle_i32x4(row[0], row[1], 0xEE);
  const __m512i d = _mm512_shuffle_i32x4(row[2], row[3], 0xEE);
  _mm512_storeu_si512(out, _mm512_shuffle_i32x4(a, b, 0x88));
  _mm512_storeu_si512(out + 64, _mm512_shuffle_i32x4(a, b, 0xDD));
  _mm512_storeu_si512(out + 128, _mm512_shuffle_i32x4(c, d, 0x88));
  _mm512_storeu_si512(out + 192, _mm512_shuffle_i32x4(c, d, 0xDD));
}

template <bool planes>
inline void place_cell_rows(const ImageLayer& image, const std::uint8_t* in, std::uint8_t* out) {
  const std::size_t plane = std::size_t{image.height} * image.width;
  for (std::uint32_t y = 0; y < image.height; y += 4) {
    std::uint8_t* to = out + std::size_t{y} / 4 * image.row;
    for (std::uint32_t i = 0; i < image.width; i += 16) {
      const std::uint32_t x = i + 16 <= image.width ? i : image.width - 16;  // again, in part
      __m512i row[4];
      repeat<4>([&](auto r) RLC_INLINE_LAMBDA {
        const std::size_t at = std::size_t{y + r} * image.width + x;
        row[r] = planes ? interleaved(in + at, plane) : load(in + at * 4);
      });
      store_cells(row, to + std::size_t{x} / 4 * 64);
    }
  }
}

bool place_image(const ImageLayer& image, const std::uint8_t* in, std::uint8_t* out) {
  const bool fits = image.channels == 4 && image.cell[0] == 4 && image.cell[1] == 4 &&
                    !image.bordered && image.height % 4 == 0 && image.width % 4 == 0 &&
                    image.width >= 16;
  if (!fits) return false;
  if (image.channels_first) {
    place_cell_rows<true>(image, in, out);
  } else {
    place_cell_rows<false>(image, in, out);
  }
  return true;
}

// Bit k: whether element k of two vectors differs.
template <std::size_t pixel>
RLC_INLINE std::uint64_t unequal(__m512i a, __m512i b) {
  if constexpr (pixel == 1) return _mm512_cmpneq_epi8_mask(a, b);
  return _mm512_cmpneq_epi32_mask(a, b);
}

template <std::size_t pixel>
inline void differing_elements(const std::uint8_t* a, const std::uint8_t* b, std::size_t count,
                               std::uint64_t* bits) {
  constexpr std::size_t elements = 64 / pixel;
  for (std::size_t i = 0; i < count; i += elements) {
    const std::size_t bytes = (count - i) * pixel;
    const __mmask64 mask = first_bytes(bytes < 64 ? static_cast<std::uint32_t>(bytes) : 64);
    const __m512i x = _mm512_maskz_loadu_epi8(mask, a + i * pixel);
    const __m512i y = _mm512_maskz_loadu_epi8(mask, b + i * pixel);
    bits[i / 64] |= unequal<pixel>(x, y) << (i % 64);
  }
}

// Cells of 64 bytes. Most of four neighbours are equal, which takes one test.
inline void differing_cells(const std::uint8_t* a, const std::uint8_t* b, std::size_t count,
                            std::uint64_t* bits) {
  for (std::size_t i = 0; i < count; i += 4) {
    const std::size_t last = count - i < 4 ? count - i - 1 : 3;
    __m512i other[4];
    repeat<4>([&](auto k) RLC_INLINE_LAMBDA {
      const std::size_t at = (i + (static_cast<std::size_t>(k) < last ? k : last)) * 64;
      other[k] = _mm512_xor_si512(load(a + at), load(b + at));
    });
    const __m512i any = _mm512_or_si512(_mm512_or_si512(other[0], other[1]),
                                        _mm512_or_si512(other[2], other[3]));
    if (_mm512_test_epi32_mask(any, any) == 0) continue;
    for (std::size_t k = 0; k <= last; ++k) {
      const bool differs = _mm512_test_epi32_mask(other[k], other[k]) != 0;
      bits[(i + k) / 64] |= std::uint64_t{differs} << ((i + k) % 64);
    }
  }
}

void differing_in_vectors(const std::uint8_t* a, const std::uint8_t* b, std::size_t pixel,
                          std::size_t count, std::uint64_t* bits) {
  if (pixel == 1) return differing_elements<1>(a, b, count, bits);
  if (pixel == 4) return differing_elements<4>(a, b, count, bits);
  if (pixel == 64) return differing_cells(a, b, count, bits);
  differing(a, b, pixel, count, bits);
}
