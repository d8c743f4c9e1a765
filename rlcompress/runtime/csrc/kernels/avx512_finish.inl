// From int32 accumulators in registers to outputs.

RLC_INLINE __m512i load(const void* p) { return _mm512_loadu_si512(p); }

// Adds four products to each sum. Written out, because gcc copies every sum twice around the
// intrinsic.
RLC_INLINE void dot(__m512i& acc, __m512i values, __m512i weights) {
#if defined(__GNUC__)
  __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(values), "v"(weights));
#else
  acc = _mm512_dpbusd_epi32(acc, values, weights);
#endif
}

// What the end of an integer layer needs, in registers.
class Finish {
 public:
  explicit Finish(const Epilogue& epilogue)
      : e(epilogue),
        low_(_mm512_set1_ps(epilogue.low)),
        high_(_mm512_set1_ps(epilogue.high)),
        whole_bytes_(e.zero == 0 && e.low == 0.0F && e.high == 255.0F),
        whole_signed_(e.zero == 128 && e.low == -127.0F && e.high == 127.0F),
        zero_(_mm512_set1_epi16(static_cast<short>(epilogue.zero))),
        low_byte_(_mm512_set1_epi8(static_cast<char>(static_cast<int>(e.low) + e.zero))),
        high_bit_(_mm512_set1_epi8(-128)),
        high_byte_(_mm512_set1_epi8(static_cast<char>(static_cast<int>(e.high) + e.zero))) {}

  bool to_bytes() const { return e.direct && e.quantised; }

  // Sixteen outputs of any kind.
  RLC_INLINE void one(__m512i acc, std::size_t row, void* out, std::size_t at) const {
    finish(e, {scaled(acc, row)}, out, at + row);
  }

  RLC_INLINE __m512i rounded(__m512 h) const {
    if (!e.bounded) h = _mm512_min_ps(_mm512_max_ps(h, low_), high_);
    return _mm512_cvtps_epi32(h);
  }

  // Whether outputs of float sums are bytes without a function in between. ReLU is the lower limit.
  bool packs_floats() const {
    return e.quantised && (e.function == Function::None || e.function == Function::Relu);
  }

  RLC_INLINE __m512i rounded_float(__m512 acc, std::size_t row) const {
    const __m512 h = _mm512_add_ps(_mm512_mul_ps(acc, _mm512_loadu_ps(e.multiplier + row)),
                                   _mm512_loadu_ps(e.bias + row));
    const __m512 low = e.function == Function::Relu ? _mm512_max_ps(low_, _mm512_setzero_ps()) : low_;
    const __m512 scaled = _mm512_mul_ps(h, _mm512_set1_ps(e.inverse_scale));
    return _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(scaled, low), high_));
  }

  // Packing saturates, so limits are applied to bytes; it works within 128-bit lanes, which the
  // permutation puts in order.
  RLC_INLINE __m512i packed(__m512i a, __m512i b, __m512i c, __m512i d) const {
    const __m512i first = _mm512_packs_epi32(a, b);
    const __m512i second = _mm512_packs_epi32(c, d);
    __m512i bytes;
    if (whole_bytes_) {
      bytes = _mm512_packus_epi16(first, second);
    } else if (whole_signed_) {
      bytes = _mm512_max_epi8(_mm512_packs_epi16(first, second), _mm512_set1_epi8(-127));
      bytes = _mm512_xor_si512(bytes, high_bit_);
    } else {
      bytes = _mm512_packus_epi16(_mm512_adds_epi16(first, zero_), _mm512_adds_epi16(second, zero_));
      bytes = _mm512_min_epu8(_mm512_max_epu8(bytes, low_byte_), high_byte_);
    }
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_permutexvar_epi32(order, bytes);
  }

  // Four neighbouring tiles of one position.
  RLC_INLINE void tiles(const __m512i (&acc)[4], std::size_t row, void* out, std::size_t at) const {
    if (to_bytes()) {
      const __m512i bytes =
          packed(rounded(scaled(acc[0], row)), rounded(scaled(acc[1], row + 16)),
                 rounded(scaled(acc[2], row + 32)), rounded(scaled(acc[3], row + 48)));
      _mm512_storeu_si512(static_cast<std::uint8_t*>(out) + at + row, bytes);
    } else {
      repeat<4>([&](auto t) RLC_INLINE_LAMBDA { one(acc[t], row + 16 * std::size_t{t}, out, at); });
    }
  }

  // The same tile of a multiple of four positions.
  template <int positions>
  RLC_INLINE void spread(const __m512i (&acc)[positions], std::size_t row, void* out,
                         const Spot* spots) const {
    static_assert(positions % 4 == 0);
    if (!to_bytes()) {
      repeat<positions>(
          [&](auto p) RLC_INLINE_LAMBDA { one(acc[p], row, out, spots[p].out); });
      return;
    }
    repeat<positions / 4>([&](auto i) RLC_INLINE_LAMBDA {
      constexpr int p = decltype(i)::number * 4;
      const __m512i words[4] = {
          rounded(scaled(acc[p], row)), rounded(scaled(acc[p + 1], row)),
          rounded(scaled(acc[p + 2], row)), rounded(scaled(acc[p + 3], row))};
      scatter(words, row, out, spots + p);
    });
  }

  // Sixteen outputs of each of four positions.
  RLC_INLINE void scatter(const __m512i (&words)[4], std::size_t row, void* out,
                          const Spot* spots) const {
    std::uint8_t* to = static_cast<std::uint8_t*>(out) + row;
    const __m512i bytes = packed(words[0], words[1], words[2], words[3]);
    store(to + spots[0].out, _mm512_castsi512_si128(bytes));
    store(to + spots[1].out, _mm512_extracti32x4_epi32(bytes, 1));
    store(to + spots[2].out, _mm512_extracti32x4_epi32(bytes, 2));
    store(to + spots[3].out, _mm512_extracti32x4_epi32(bytes, 3));
  }

  const Epilogue& e;

 private:
  static RLC_INLINE void store(std::uint8_t* to, __m128i bytes) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
  }

  RLC_INLINE __m512 scaled(__m512i acc, std::size_t row) const {
    return _mm512_mul_ps(_mm512_cvtepi32_ps(acc), _mm512_loadu_ps(e.multiplier + row));
  }

  __m512 low_, high_;
  bool whole_bytes_;  // every byte is a value: 0..255
  bool whole_signed_;  // every byte but one: -127..127
  __m512i zero_, low_byte_, high_bit_, high_byte_;
};
