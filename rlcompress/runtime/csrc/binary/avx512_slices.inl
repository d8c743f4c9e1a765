// Batches by slices: plane j holds input j of 512 samples, and what a neuron counts is added up in
// planes as well, by three-input logic. Three inputs differ from three weights in 0 to 3 places, a
// number of two planes; all neurons have the same inputs and one of eight patterns of weights, so
// these planes are made once for every pattern, and a neuron only adds up those of its own.

constexpr std::size_t kMostSliced = 256;  // inputs

using Vector = __m512i;

// Planes of a count; more than log2(inputs + 1), so that a limit of inputs + 1 fits too. Adding begins
// with 2^planes less the limit: what is carried out of the last plane says that it was reached.
inline std::size_t count_planes(std::size_t inputs) {
  std::size_t planes = 5;
  while ((std::size_t{1} << planes) <= inputs + 1) ++planes;
  return planes;
}

// Numbers are added up eight triples at a time; those past the last input are zero.
constexpr std::size_t kTriples = 8;
// Of a triple: its parity and the complement, then the majority of each pattern of weights.
constexpr std::size_t kPatternPlanes = 10;

inline std::size_t triples_of(std::size_t inputs) { return round_up((inputs + 2) / 3, kTriples); }

// A neuron's limit: a word for each plane, and one for a limit of zero, which nothing is below.
inline std::size_t limit_words(std::size_t inputs) { return count_planes(inputs) + 1; }

std::size_t sliced_bytes(const Layer& layer) {
  if (layer.inputs < 16 || layer.inputs > kMostSliced || layer.outputs < 16) return 0;
  return layer.outputs * (limit_words(layer.inputs) * 8 + triples_of(layer.inputs) * 2 * 2);
}

// For each neuron its limit, bits spread over words; then for each the places of its planes, parity
// and majority in turn.
void prepare_slices(const Layer& layer, void* prepared) {
  const std::size_t planes = count_planes(layer.inputs);
  auto* limits = static_cast<std::uint64_t*>(prepared);
  auto* places = reinterpret_cast<std::uint16_t*>(limits + layer.outputs * (planes + 1));
  for (std::size_t o = 0; o < layer.outputs; ++o) {
    const auto most = static_cast<std::int64_t>(layer.inputs) + 1;
    const std::int64_t threshold = layer.thresholds[o];
    const std::int64_t limit = threshold < 0 ? 0 : threshold > most ? most : threshold;
    const std::int64_t begin = (std::int64_t{1} << planes) - limit;
    for (std::size_t k = 0; k < planes; ++k) *limits++ = (begin >> k & 1) != 0 ? ~0ULL : 0;
    *limits++ = limit == 0 ? ~0ULL : 0;
    const std::uint64_t* weights = layer.weights + o / kLanes * layer.words * kLanes + o % kLanes;
    for (std::size_t t = 0; t < triples_of(layer.inputs); ++t) {
      std::size_t pattern = 0;
      for (std::size_t i = 0; i < 3; ++i) {
        const std::size_t j = 3 * t + i;
        if (j < layer.inputs) pattern |= (weights[j / 64 * kLanes] >> (j % 64) & 1) << i;
      }
      const std::size_t odd = (pattern ^ pattern >> 1 ^ pattern >> 2) & 1;
      const std::size_t first = t * kPatternPlanes;
      *places++ = static_cast<std::uint16_t>(8 * (first + odd));
      *places++ = static_cast<std::uint16_t>(8 * (first + 2 + pattern));
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

// Word w of 512 samples to 64 planes.
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
  for (std::size_t b = 0; b < 8; ++b) {
    Vector part[8];
    for (std::size_t s = 0; s < 8; ++s) part[s] = found[s][b];
    transpose_words(part);
    for (std::size_t k = 0; k < 8; ++k, planes += 8) _mm512_store_si512(planes, part[k]);
  }
}

// A majority of three inputs, each of them turned around where the pattern has a bit.
template <std::size_t kPattern>
inline Vector majority(Vector a, Vector b, Vector c) {
  constexpr unsigned ways[3] = {0xF0, 0xCC, 0xAA};  // what each input is in the table of eight cases
  constexpr unsigned x = (kPattern & 1) != 0 ? ways[0] ^ 0xFFU : ways[0];
  constexpr unsigned y = (kPattern & 2) != 0 ? ways[1] ^ 0xFFU : ways[1];
  constexpr unsigned z = (kPattern & 4) != 0 ? ways[2] ^ 0xFFU : ways[2];
  return _mm512_ternarylogic_epi64(a, b, c, (x & y) | (x & z) | (y & z));
}

// Planes of inputs to planes of triples.
void to_triples(const std::uint64_t* planes, std::size_t inputs, std::uint64_t* out) {
  const auto plane = [&](std::size_t j) {
    return j < inputs ? _mm512_load_si512(planes + 8 * j) : _mm512_setzero_si512();
  };
  for (std::size_t t = 0; t < triples_of(inputs); ++t, out += 8 * kPatternPlanes) {
    const Vector a = plane(3 * t), b = plane(3 * t + 1), c = plane(3 * t + 2);
    _mm512_store_si512(out, _mm512_ternarylogic_epi64(a, b, c, 0x96));
    _mm512_store_si512(out + 8, _mm512_ternarylogic_epi64(a, b, c, 0x69));
    _mm512_store_si512(out + 16, majority<0>(a, b, c));
    _mm512_store_si512(out + 24, majority<1>(a, b, c));
    _mm512_store_si512(out + 32, majority<2>(a, b, c));
    _mm512_store_si512(out + 40, majority<3>(a, b, c));
    _mm512_store_si512(out + 48, majority<4>(a, b, c));
    _mm512_store_si512(out + 56, majority<5>(a, b, c));
    _mm512_store_si512(out + 64, majority<6>(a, b, c));
    _mm512_store_si512(out + 72, majority<7>(a, b, c));
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

// low + a + b, the carry to the result: where a and b are the same it is they, elsewhere what the sum
// is not. Taken from the sum, it needs no copy of what there was before.
RLC_INLINE Vector add(Vector& low, Vector a, Vector b) {
  low = _mm512_ternarylogic_epi64(low, a, b, 0x96);
  return _mm512_ternarylogic_epi64(a, b, low, 0xD4);
}

inline Vector spread(std::uint64_t word) { return _mm512_set1_epi64(static_cast<long long>(word)); }

// Samples in which the limit was not reached, which was not zero.
inline Vector below(Vector reached, std::uint64_t never) {
  return _mm512_ternarylogic_epi64(reached, spread(never), reached, 0x03);
}

template <std::size_t kHigh>
Vector fire_sliced(const std::uint64_t* planes, const std::uint16_t* places, std::size_t chunks,
                   const std::uint64_t* limits) {
  Vector ones = spread(limits[0]), twos = spread(limits[1]);
  Vector fours = spread(limits[2]), eights = spread(limits[3]);
  Vector high[kHigh];
  for (std::size_t k = 0; k < kHigh; ++k) high[k] = spread(limits[4 + k]);
  Vector reached = _mm512_setzero_si512();
  for (std::size_t c = 0; c < chunks; ++c, places += 2 * kTriples) {
    const auto two = [&](std::size_t i) {
      const Vector carry = add(ones, load(planes + places[i]), load(planes + places[i + 2]));
      return std::pair(carry,
                       add(twos, load(planes + places[i + 1]), load(planes + places[i + 3])));
    };
    const auto [p, q] = two(0);
    const auto [r, s] = two(4);
    const auto [t, u] = two(8);
    const auto [v, w] = two(12);
    const Vector first = add(fours, q, s);
    const Vector second = add(fours, u, w);
    const Vector third = add(fours, add(twos, p, r), add(twos, t, v));
    const Vector both = add(eights, first, second);
    const Vector other = _mm512_and_si512(eights, third);
    eights = _mm512_xor_si512(eights, third);
    Vector carry = add(high[0], both, other);
    for (std::size_t k = 1; k < kHigh; ++k) {
      const Vector next = _mm512_and_si512(high[k], carry);
      high[k] = _mm512_xor_si512(high[k], carry);
      carry = next;
    }
    reached = _mm512_or_si512(reached, carry);
  }
  return below(reached, limits[4 + kHigh]);
}

// Bits of one weight, two by two on top of what there is; half as many of the next weight.
template <std::size_t kCount>
RLC_INLINE void add_pairs(Vector sum, const Vector (&bits)[kCount], Vector* carries) {
  static_assert(kCount % 2 == 0);
  repeat<kCount / 2>([&](auto i) RLC_INLINE_LAMBDA {
    constexpr std::size_t k = decltype(i)::number;
    carries[k] = add(sum, bits[2 * k], bits[2 * k + 1]);
  });
}

// 64 inputs, the width that is used most: 21 triples and a single one, and nothing is left over at
// any weight.
Vector fire_sliced_64(const std::uint64_t* planes, const std::uint16_t* places, std::size_t,
                      const std::uint64_t* limits) {
  Vector ones[22], twos[32], fours[16], eights[8], high[4], higher[2], last[1];
  repeat<22>([&](auto t) RLC_INLINE_LAMBDA { ones[t] = load(planes + places[2 * t]); });
  add_pairs(spread(limits[0]), ones, twos + 21);
  repeat<21>([&](auto t) RLC_INLINE_LAMBDA { twos[t] = load(planes + places[2 * t + 1]); });
  add_pairs(spread(limits[1]), twos, fours);
  add_pairs(spread(limits[2]), fours, eights);
  add_pairs(spread(limits[3]), eights, high);
  add_pairs(spread(limits[4]), high, higher);
  add_pairs(spread(limits[5]), higher, last);
  return below(_mm512_and_si512(spread(limits[6]), last[0]), limits[7]);
}

using FireSliced = Vector (*)(const std::uint64_t*, const std::uint16_t*, std::size_t,
                              const std::uint64_t*);

inline FireSliced sliced_for(std::size_t inputs) {
  constexpr FireSliced known[] = {fire_sliced<1>, fire_sliced<2>, fire_sliced<3>, fire_sliced<4>,
                                  fire_sliced<5>};
  return inputs == 64 ? fire_sliced_64 : known[count_planes(inputs) - 5];
}

// Exactly kBatch samples.
void fire_slices(const Layer& layer, const void* prepared, const std::uint64_t* x,
                 std::uint64_t* out) {
  alignas(64) std::uint64_t inputs[kMostSliced * 8];
  alignas(64) std::uint64_t planes[((kMostSliced + 2) / 3 + kTriples) * kPatternPlanes * 8];
  for (std::size_t w = 0; w < layer.words; ++w) {
    to_planes(x + w, layer.words, inputs + w * 64 * 8);
  }
  to_triples(inputs, layer.inputs, planes);
  const std::size_t count = limit_words(layer.inputs);
  const auto* limits = static_cast<const std::uint64_t*>(prepared);
  const auto* places = reinterpret_cast<const std::uint16_t*>(limits + layer.outputs * count);
  const std::size_t triples = triples_of(layer.inputs);
  const FireSliced fired = sliced_for(layer.inputs);
  const std::size_t out_words = words_of(layer.outputs);
  Vector bits[64];
  for (std::size_t w = 0; w < out_words; ++w) {
    for (std::size_t i = 0; i < 64; ++i) {
      const std::size_t o = w * 64 + i;
      bits[i] = o < layer.outputs
                    ? fired(planes, places + o * triples * 2, triples / kTriples, limits + o * count)
                    : _mm512_setzero_si512();
    }
    from_planes(bits, out + w, out_words);
  }
}
