// Batches by slices: plane j holds input j of 512 samples, and what a neuron counts is added up in
// planes as well, by three-input logic. Its own weights only choose between a plane and its
// complement.

constexpr std::size_t kMostSliced = 256;  // inputs

using Vector = __m512i;

// Planes of a count; more than log2(inputs + 1), so that a limit of inputs + 1 fits too.
inline std::size_t count_planes(std::size_t inputs) {
  std::size_t planes = 5;
  while ((std::size_t{1} << planes) <= inputs + 1) ++planes;
  return planes;
}

std::size_t sliced_bytes(const Layer& layer) {
  if (layer.inputs < 16 || layer.inputs > kMostSliced || layer.outputs < 16) return 0;
  return layer.outputs * (count_planes(layer.inputs) * 8 + round_up(layer.inputs, 16) * 2);
}

// For each neuron the bits of its limit, spread over words; then for each the places of its planes.
void prepare_slices(const Layer& layer, void* prepared) {
  const std::size_t planes = count_planes(layer.inputs);
  const std::size_t padded = round_up(layer.inputs, 16);
  const std::size_t none = 2 * round_up(layer.inputs, 64);  // a plane of zeros
  auto* limits = static_cast<std::uint64_t*>(prepared);
  auto* places = reinterpret_cast<std::uint16_t*>(limits + layer.outputs * planes);
  for (std::size_t o = 0; o < layer.outputs; ++o) {
    const auto most = static_cast<std::int64_t>(layer.inputs) + 1;
    const std::int64_t threshold = layer.thresholds[o];
    const std::int64_t limit = threshold < 0 ? 0 : threshold > most ? most : threshold;
    for (std::size_t k = 0; k < planes; ++k) *limits++ = (limit >> k & 1) != 0 ? ~0ULL : 0;
    const std::uint64_t* weights = layer.weights + o / kLanes * layer.words * kLanes + o % kLanes;
    for (std::size_t j = 0; j < padded; ++j) {
      const std::size_t set = j < layer.inputs ? weights[j / 64 * kLanes] >> (j % 64) & 1 : 0;
      *places++ = static_cast<std::uint16_t>(8 * (j < layer.inputs ? 2 * j + set : none));
    }
  }
}

// Vectors as the rows of 8 x 8 words, transposed.
inline void transpose_words(Vector (&v)[8]) {
  Vector pairs[8];
  for (std::size_t i = 0; i < 8; i += 2) {
    pairs[i] = _mm512_unpacklo_epi64(v[i], v[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_epi64(v[i], v[i + 1]);
  }
  for (std::size_t odd = 0; odd < 2; ++odd) {
    const Vector* p = pairs + odd;
    const Vector a = _mm512_shuffle_i64x2(p[0], p[2], 0x88);
    const Vector b = _mm512_shuffle_i64x2(p[0], p[2], 0xDD);
    const Vector c = _mm512_shuffle_i64x2(p[4], p[6], 0x88);
    const Vector d = _mm512_shuffle_i64x2(p[4], p[6], 0xDD);
    v[odd] = _mm512_shuffle_i64x2(a, c, 0x88);
    v[odd + 2] = _mm512_shuffle_i64x2(b, d, 0x88);
    v[odd + 4] = _mm512_shuffle_i64x2(a, c, 0xDD);
    v[odd + 6] = _mm512_shuffle_i64x2(b, d, 0xDD);
  }
}

// Byte `b` of word `i` to byte `i` of word `b`; or to byte 7 - i.
inline Vector transpose_bytes(Vector words, bool reversed) {
  alignas(64) static const std::uint8_t order[64] = {
      0, 8,  16, 24, 32, 40, 48, 56, 1, 9,  17, 25, 33, 41, 49, 57, 2, 10, 18, 26, 34, 42,
      50, 58, 3, 11, 19, 27, 35, 43, 51, 59, 4, 12, 20, 28, 36, 44, 52, 60, 5, 13, 21, 29,
      37, 45, 53, 61, 6, 14, 22, 30, 38, 46, 54, 62, 7, 15, 23, 31, 39, 47, 55, 63};
  const Vector places = load(order);
  // 56 - p turns the word's number around and leaves the byte's: p = 8 i + b, 8 (7 - i) + b.
  const Vector around = _mm512_xor_si512(places, _mm512_set1_epi8(56));
  return _mm512_permutexvar_epi8(reversed ? around : places, words);
}

// 64 x 64 bits in eight vectors of eight words: bit j of word i to bit i of word j.
inline void transpose_bits(Vector (&v)[8]) {
  const Vector unit = _mm512_set1_epi64(static_cast<long long>(0x8040201008040201ULL));
  for (Vector& rows : v) {
    rows = _mm512_gf2p8affine_epi64_epi8(unit, transpose_bytes(rows, true), 0);
  }
  transpose_words(v);
  for (Vector& rows : v) rows = transpose_bytes(rows, false);
}

// Word w of 512 samples to 64 planes, each followed by its complement.
void to_planes(const std::uint64_t* x, std::size_t step, std::uint64_t* planes) {
  const Vector places = _mm512_mullo_epi64(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7),
                                           _mm512_set1_epi64(static_cast<long long>(step)));
  Vector found[8][8];
  for (std::size_t s = 0; s < 8; ++s) {
    for (std::size_t r = 0; r < 8; ++r) {
      const std::uint64_t* rows = x + (s * 64 + r * 8) * step;
      found[s][r] = step == 1 ? load(rows) : _mm512_i64gather_epi64(places, rows, 8);
    }
    transpose_bits(found[s]);
  }
  const Vector all = _mm512_set1_epi64(-1);
  for (std::size_t b = 0; b < 8; ++b) {
    Vector part[8];
    for (std::size_t s = 0; s < 8; ++s) part[s] = found[s][b];
    transpose_words(part);
    for (std::size_t k = 0; k < 8; ++k, planes += 16) {
      _mm512_store_si512(planes, part[k]);
      _mm512_store_si512(planes + 8, _mm512_xor_si512(part[k], all));
    }
  }
}

// 64 planes to a word of each of 512 samples.
void from_planes(const Vector (&planes)[64], std::uint64_t* out, std::size_t step) {
  const Vector places = _mm512_mullo_epi64(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7),
                                           _mm512_set1_epi64(static_cast<long long>(step)));
  Vector found[8][8];
  for (std::size_t b = 0; b < 8; ++b) {
    Vector part[8];
    for (std::size_t k = 0; k < 8; ++k) part[k] = planes[8 * b + k];
    transpose_words(part);
    for (std::size_t s = 0; s < 8; ++s) found[s][b] = part[s];
  }
  for (std::size_t s = 0; s < 8; ++s) {
    transpose_bits(found[s]);
    for (std::size_t r = 0; r < 8; ++r) {
      std::uint64_t* rows = out + (s * 64 + r * 8) * step;
      if (step == 1) {
        _mm512_storeu_si512(rows, found[s][r]);
      } else {
        _mm512_i64scatter_epi64(rows, places, found[s][r], 8);
      }
    }
  }
}

// low + a + b, the carry to the result.
inline Vector add(Vector& low, Vector a, Vector b) {
  const Vector carry = _mm512_ternarylogic_epi64(low, a, b, 0xE8);
  low = _mm512_ternarylogic_epi64(low, a, b, 0x96);
  return carry;
}

template <std::size_t kHigh>
Vector fire_sliced(const std::uint64_t* planes, const std::uint16_t* places, std::size_t chunks,
                   const std::uint64_t* limits) {
  const Vector zero = _mm512_setzero_si512();
  Vector ones = zero, twos = zero, fours = zero, eights = zero;
  Vector high[kHigh];
  for (Vector& plane : high) plane = zero;
  for (std::size_t c = 0; c < chunks; ++c, places += 16) {
    const auto four = [&](std::size_t i) {
      const Vector first = add(ones, load(planes + places[i]), load(planes + places[i + 1]));
      const Vector second = add(ones, load(planes + places[i + 2]), load(planes + places[i + 3]));
      return add(twos, first, second);
    };
    const Vector a = four(0);
    const Vector b = four(4);
    const Vector first = add(fours, a, b);
    const Vector d = four(8);
    const Vector e = four(12);
    const Vector second = add(fours, d, e);
    Vector carry = add(eights, first, second);
    for (Vector& plane : high) {
      const Vector next = _mm512_and_si512(plane, carry);
      plane = _mm512_xor_si512(plane, carry);
      carry = next;
    }
  }
  // Below the limit: from the lowest plane up, the last one in which they differ decides.
  Vector below = zero;
  const auto compare = [&](Vector plane, std::size_t k) {
    const Vector limit = _mm512_set1_epi64(static_cast<long long>(limits[k]));
    below = _mm512_ternarylogic_epi64(plane, limit, below, 0x8E);
  };
  compare(ones, 0);
  compare(twos, 1);
  compare(fours, 2);
  compare(eights, 3);
  for (std::size_t k = 0; k < kHigh; ++k) compare(high[k], 4 + k);
  return below;
}

using FireSliced = Vector (*)(const std::uint64_t*, const std::uint16_t*, std::size_t,
                              const std::uint64_t*);

inline FireSliced sliced_for(std::size_t planes) {
  constexpr FireSliced known[] = {fire_sliced<1>, fire_sliced<2>, fire_sliced<3>, fire_sliced<4>,
                                  fire_sliced<5>};
  return known[planes - 5];
}

// Exactly kBatch samples.
void fire_slices(const Layer& layer, const void* prepared, const std::uint64_t* x,
                 std::uint64_t* out) {
  alignas(64) std::uint64_t planes[(2 * kMostSliced + 1) * 8];
  for (std::size_t w = 0; w < layer.words; ++w) {
    to_planes(x + w, layer.words, planes + w * 64 * 16);
  }
  _mm512_store_si512(planes + layer.words * 64 * 16, _mm512_setzero_si512());
  const std::size_t count = count_planes(layer.inputs);
  const auto* limits = static_cast<const std::uint64_t*>(prepared);
  const auto* places = reinterpret_cast<const std::uint16_t*>(limits + layer.outputs * count);
  const std::size_t chunks = (layer.inputs + 15) / 16;
  const FireSliced fired = sliced_for(count);
  const std::size_t out_words = words_of(layer.outputs);
  Vector bits[64];
  for (std::size_t w = 0; w < out_words; ++w) {
    for (std::size_t i = 0; i < 64; ++i) {
      const std::size_t o = w * 64 + i;
      bits[i] = o < layer.outputs
                    ? fired(planes, places + o * chunks * 16, chunks, limits + o * count)
                    : _mm512_setzero_si512();
    }
    from_planes(bits, out + w, out_words);
  }
}
