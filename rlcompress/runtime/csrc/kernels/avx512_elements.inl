// Element-wise ops on bytes, 64 at a time; the rest of a run is read and written under a mask.

RLC_INLINE __mmask64 first_bytes(std::uint32_t count) {
  return count >= 64 ? ~__mmask64{0} : (__mmask64{1} << count) - 1;
}

void map_bytes_by_table(const MapLayer& layer, const std::uint8_t* in, void* out, SpotList spots,
                        std::size_t count) {
  if (layer.bytes == nullptr) return map_bytes(layer, in, out, spots, count);
  __m512i table[4];
  repeat<4>([&](auto i) RLC_INLINE_LAMBDA { table[i] = load(layer.bytes + 64 * i); });
  for (std::size_t s = 0; s < count; ++s) {
    const std::uint8_t* x = in + spots[s].in;
    std::uint8_t* y = static_cast<std::uint8_t*>(out) + spots[s].out;
    for (std::uint32_t i = 0; i < layer.run; i += 64) {
      const __mmask64 mask = first_bytes(layer.run - i);
      const __m512i bytes = _mm512_maskz_loadu_epi8(mask, x + i);
      const __m512i low = _mm512_permutex2var_epi8(table[0], bytes, table[1]);
      const __m512i high = _mm512_permutex2var_epi8(table[2], bytes, table[3]);
      const __m512i mapped = _mm512_mask_blend_epi8(_mm512_movepi8_mask(bytes), low, high);
      _mm512_mask_storeu_epi8(y + i, mask, mapped);
    }
  }
}

// What is added: (byte - zero) * multiplier, rounded once. The zero byte is 0 or 128, so that
// zero * multiplier is exact and a fused multiply-add rounds just as the product would.
struct Addend {
  __m512 multiplier, shift;

  Addend(float zero, float factor)
      : multiplier(_mm512_set1_ps(factor)), shift(_mm512_set1_ps(-zero * factor)) {}

  RLC_INLINE __m512 of(const std::uint8_t* p) const {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)), multiplier, shift);
  }
};

void add_bytes_in_blocks(const AddLayer& layer, const Epilogue& e, const std::uint8_t* a,
                         const std::uint8_t* b, std::uint8_t* out, const AddSpot* spots,
                         std::size_t count) {
  const Finish finish(e);
  const Addend first(layer.zero[0], layer.multiplier[0]);
  const Addend second(layer.zero[1], layer.multiplier[1]);
  for (std::size_t s = 0; s < count; ++s) {
    const std::uint8_t* x = a + spots[s].a;
    const std::uint8_t* y = b + spots[s].b;
    for (std::uint32_t i = 0; i < layer.run; i += 64) {
      __m512i sum[4];
      repeat<4>([&](auto q) RLC_INLINE_LAMBDA {
        const std::size_t at = i + 16 * std::size_t{q};
        sum[q] = finish.rounded(_mm512_add_ps(first.of(x + at), second.of(y + at)));
      });
      const __m512i bytes = finish.packed(sum[0], sum[1], sum[2], sum[3]);
      std::uint8_t* to = out + spots[s].out + i;
      if (layer.run - i >= 64) {
        _mm512_storeu_si512(to, bytes);
      } else {
        _mm512_mask_storeu_epi8(to, first_bytes(layer.run - i), bytes);
      }
    }
  }
}

struct Bytes64 {
  __m512i v;
  static Bytes64 lowest() { return {_mm512_setzero_si512()}; }
  static Bytes64 load(const std::uint8_t* p) { return {_mm512_loadu_si512(p)}; }
  void store(std::uint8_t* p) const { _mm512_storeu_si512(p, v); }
};

inline Bytes64 larger(Bytes64 a, Bytes64 b) { return {_mm512_max_epu8(a.v, b.v)}; }

void max_pool_wide_bytes(const PoolLayer& layer, const std::uint8_t* in, std::uint8_t* out,
                         const PoolSpot* spots, std::size_t count) {
  if (layer.channels % 64 == 0) return max_pool<Bytes64>(layer, in, out, spots, count);
  if (layer.channels % 32 == 0) return max_pool<Bytes32>(layer, in, out, spots, count);
  max_pool<Bytes>(layer, in, out, spots, count);
}
