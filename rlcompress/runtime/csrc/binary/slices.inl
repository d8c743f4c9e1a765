// Kernels over planes, for every instruction set: included inside a file's own namespace, after
// `Vector` and what can be done with it. A plane is kPlaneWords words; bit i of its word l belongs
// to sample kPlaneWords * i + l.

constexpr std::size_t kSlice = 64 * kPlaneWords;  // samples

constexpr std::uint64_t halves(int distance) {
  return ~std::uint64_t{0} / ((std::uint64_t{1} << distance) + 1);
}

// Bits of `a` at i + kDistance change places with those of `b` at i.
template <int kDistance>
RLC_INLINE void swap_bits(Vector& a, Vector& b) {
  const Vector differ = masked_difference(shift_right<kDistance>(a), b,
                                          spread(halves(kDistance)));
  b = exclusive(b, differ);
  a = exclusive(a, shift_left<kDistance>(differ));
}

// Eight rows that lie kStep apart and their columns kStep apart, transposed.
template <int kStep>
RLC_INLINE void exchange(Vector (&v)[8]) {
  repeat<4>([&](auto i) RLC_INLINE_LAMBDA { swap_bits<4 * kStep>(v[i], v[i + 4]); });
  repeat<4>([&](auto i) RLC_INLINE_LAMBDA {
    constexpr int k = decltype(i)::number / 2 * 4 + decltype(i)::number % 2;
    swap_bits<2 * kStep>(v[k], v[k + 2]);
  });
  repeat<4>([&](auto i) RLC_INLINE_LAMBDA { swap_bits<kStep>(v[2 * i], v[2 * i + 1]); });
}

// A word of each of kSlice samples to 64 planes.
void to_planes(const std::uint64_t* x, std::size_t step, std::uint64_t* planes) {
  alignas(64) std::uint64_t words[kSlice];
  if (step != 1) {
    for (std::size_t s = 0; s < kSlice; ++s) words[s] = x[s * step];
    x = words;
  }
  Vector rows[8];
  for (std::size_t k = 0; k < 8; ++k) {
    for (std::size_t i = 0; i < 8; ++i) rows[i] = load(x + (8 * i + k) * kPlaneWords);
    exchange<8>(rows);
    for (std::size_t i = 0; i < 8; ++i) store(planes + (8 * i + k) * kPlaneWords, rows[i]);
  }
  for (std::size_t k = 0; k < 64; k += 8, planes += 8 * kPlaneWords) {
    for (std::size_t i = 0; i < 8; ++i) rows[i] = load(planes + i * kPlaneWords);
    exchange<1>(rows);
    for (std::size_t i = 0; i < 8; ++i) store(planes + i * kPlaneWords, rows[i]);
  }
}

inline void clear_rows(std::uint64_t* rows, std::size_t first, std::size_t last) {
  if (first < last) std::memset(rows + first * kPlaneWords, 0, (last - first) * kPlaneWords * 8);
}

// Numbers in a queue to tables of majorities; parities go to the queue's end.
void to_table(std::uint64_t* rows, std::size_t triples, std::uint64_t* table) {
  std::uint64_t* last = rows + (2 * triples + 1) * kPlaneWords;
  for (std::size_t t = 0; t < triples; ++t, rows += 3 * kPlaneWords, last += kPlaneWords) {
    const Vector a = load(rows), b = load(rows + kPlaneWords), c = load(rows + 2 * kPlaneWords);
    store(last, parity(a, b, c));
    majorities(a, b, c, table + t * 8 * kPlaneWords);
  }
}

// Adds numbers first .. first + 2^kLevel - 1 to `sums`, planes of a sum, the lowest first; what is
// carried out of plane kLevel - 1.
template <int kLevel, class Bits>
RLC_INLINE Vector carry_of(const Bits& bits, std::size_t first, Vector* sums) {
  if constexpr (kLevel == 0) {
    return bits(first);
  } else {
    const Vector a = carry_of<kLevel - 1>(bits, first, sums);
    const Vector b = carry_of<kLevel - 1>(bits, first + (std::size_t{1} << (kLevel - 1)), sums);
    return add(sums[kLevel - 1], a, b);
  }
}

// A carry into plane kFrom and those above; what is carried out of the last.
template <int kFrom, int kPlanes>
RLC_INLINE Vector ripple(Vector carry, Vector* sums) {
  repeat<kPlanes - kFrom>([&](auto i) RLC_INLINE_LAMBDA {
    const Vector next = both(sums[kFrom + i], carry);
    sums[kFrom + i] = exclusive(sums[kFrom + i], carry);
    carry = next;
  });
  return carry;
}

// Adds `count` numbers, a multiple of eight; what was carried out of the last plane on the way.
template <int kPlanes, class Bits>
RLC_INLINE Vector add_all(const Bits& bits, std::size_t count, Vector* sums) {
  Vector reached = spread(0);
  std::size_t first = 0;
  for (; first + 32 <= count; first += 32) {
    reached = either(reached, ripple<5, kPlanes>(carry_of<5>(bits, first, sums), sums));
  }
  if (first + 16 <= count) {
    reached = either(reached, ripple<4, kPlanes>(carry_of<4>(bits, first, sums), sums));
    first += 16;
  }
  if (first + 8 <= count) {
    reached = either(reached, ripple<3, kPlanes>(carry_of<3>(bits, first, sums), sums));
  }
  return reached;
}

template <int kPlanes, std::size_t kTriples>
Vector fire_neuron(const std::uint64_t* table, const std::uint8_t* places, std::size_t triples,
                   const std::uint32_t* begins) {
  Vector sums[kPlanes];
  for (int k = 0; k < kPlanes; ++k) sums[k] = spread_half(begins[k]);
  const auto chosen = [table, places](std::size_t t) RLC_INLINE_LAMBDA {
    return load(table + t * 8 * kPlaneWords + places[t]);
  };
  if constexpr (kTriples == 32) {  // 63 or 64 inputs, the widths used most: nothing else to see to
    return ripple<5, kPlanes>(carry_of<5>(chosen, 0, sums), sums);
  } else {
    return add_all<kPlanes>(chosen, triples, sums);
  }
}

using FireNeuron = Vector (*)(const std::uint64_t*, const std::uint8_t*, std::size_t,
                              const std::uint32_t*);

// Planes of inputs, with room behind them (rows_of), to planes of what fires.
void fire_planes(const Layer& layer, const Slices& slices, std::uint64_t* rows,
                 std::uint64_t* table, std::uint64_t* out) {
  constexpr FireNeuron known[] = {fire_neuron<6, 0>, fire_neuron<7, 0>, fire_neuron<8, 0>,
                                  fire_neuron<9, 0>};
  const std::size_t planes = slices.planes, triples = slices.triples;
  const FireNeuron fired = triples == 32 && planes == kLeastPlanes ? fire_neuron<6, 32>
                                                                   : known[planes - kLeastPlanes];
  clear_rows(rows, layer.inputs, 2 * triples + 1);
  to_table(rows, triples, table);
  for (std::size_t o = 0; o < layer.outputs; ++o, out += kPlaneWords) {
    const Vector bits = fired(table, slices.places.data() + o * triples, triples,
                              slices.begins.data() + o * (planes - 1));
    store(out, slices.always[o] != 0 ? spread(~std::uint64_t{0}) : bits);
  }
}

// `factor` times the numbers of eight planes to every `step`-th element: with `offset`, or with
// kMore on top of what is there.
template <bool kMore>
void put_numbers(const Vector* planes, std::int32_t factor, std::int32_t offset, std::int32_t* z,
                 std::size_t step) {
  Vector numbers[8];
  for (std::size_t k = 0; k < 8; ++k) numbers[k] = planes[k];
  exchange<1>(numbers);
  alignas(64) std::uint8_t bytes[8][kSlice / 8];
  for (std::size_t k = 0; k < 8; ++k) store(bytes[k], in_order(numbers[k]));
  for (std::size_t i = 0; i < 8; ++i) {
    for (std::size_t k = 0; k < 8; ++k) {
      for (std::size_t l = 0; l < kPlaneWords; ++l, z += step) {
        *z = (kMore ? *z : offset) + factor * bytes[k][i * kPlaneWords + l];
      }
    }
  }
}

template <int kPlanes>
void sum_neuron(const Layer& layer, const std::uint32_t* weights, std::size_t o,
                const std::uint64_t* rows, std::int32_t* z) {
  Vector sums[16];
  for (Vector& sum : sums) sum = spread(0);
  const auto differ = [rows, weights](std::size_t i) RLC_INLINE_LAMBDA {
    return exclusive(load(rows + i * kPlaneWords), spread_half(weights[i]));
  };
  add_all<kPlanes>(differ, round_up(layer.inputs, kTriplesAtOnce), sums);
  if (layer.outputs == 1) {
    put_numbers<false>(sums, -2, layer.offsets[o], z, 1);
  } else {
    put_numbers<false>(sums, -2, layer.offsets[o], z + o, layer.outputs);
  }
  if constexpr (kPlanes > 8) put_numbers<true>(sums + 8, -512, 0, z + o, layer.outputs);
}

// Planes of inputs, with room behind them, to z of every neuron.
void sum_planes(const Layer& layer, const Slices& slices, std::uint64_t* rows, std::int32_t* z) {
  using SumNeuron = void (*)(const Layer&, const std::uint32_t*, std::size_t, const std::uint64_t*,
                             std::int32_t*);
  constexpr SumNeuron known[] = {sum_neuron<7>, sum_neuron<8>, sum_neuron<9>, sum_neuron<10>};
  const SumNeuron sum = known[planes_of(layer.inputs) - kLeastPlanes];
  const std::size_t count = round_up(layer.inputs, kTriplesAtOnce);
  clear_rows(rows, layer.inputs, count);
  for (std::size_t o = 0; o < layer.outputs; ++o) {
    sum(layer, slices.weights.data() + o * count, o, rows, z);
  }
}
