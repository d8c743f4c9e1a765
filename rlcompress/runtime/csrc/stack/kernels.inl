// Kernels that are written once for any vector type V. An including file provides <cstring>, V
// (../kernels/vector_*.h), kRegisters, Spread, load_part, store_part, differ_part and differ_bytes.

#include "../kernels/tanh.inl"

constexpr std::size_t kLanes = V::lanes;

constexpr std::size_t smaller_of(std::size_t a, std::size_t b) { return a < b ? a : b; }

// Positions whose sums fit the registers beside the weights of N vectors and one input.
constexpr std::size_t rows_of(std::size_t n) { return smaller_of((kRegisters - 1 - n) / n, 8); }

inline V activated(Function function, V x) {
  const V zero = V::set(0.0F);
  if (function == Function::Relu) x = larger(zero, x);  // in this order not-a-number stays what it is
  if (function == Function::Tanh) x = tanh_of(x);
  return add(x, zero);  // one kind of zero
}

// The last of N vectors holds only 8 channels where Half.
template <std::size_t N, bool Half>
inline bool finish(const V* sums, Function function, float* out, bool compare) {
  bool moved = false;
#pragma GCC unroll 8
  for (std::size_t v = 0; v < N; ++v) {
    const V value = activated(function, sums[v]);
    float* at = out + v * kLanes;
    if (Half && v == N - 1) {
      if (compare) moved |= differ_half(value, at);
      store_half(value, at);
    } else {
      if (compare) moved |= differ(value, at);
      value.store(at);
    }
  }
  return moved;
}

// The taps at which any of R positions reads something other than 0, in order.
template <std::size_t R>
inline std::size_t used_taps(const ConvLayer& layer, const char* const* in, std::uint32_t* used) {
  std::size_t count = 0;
  std::size_t tap = 0;
  for (std::size_t run = 0; run < layer.runs; ++run) {
    const std::ptrdiff_t begin = layer.offsets[tap];
    for (std::size_t i = 0; i < layer.run_length; i += kLanes) {
      const std::size_t lanes = smaller_of(layer.run_length - i, kLanes);
      const std::ptrdiff_t at = begin + static_cast<std::ptrdiff_t>(i * sizeof(float));
      count += append_used<R>(in, at, lanes, static_cast<std::uint32_t>(tap + i), used + count);
    }
    tap += layer.run_length;
  }
  return count;
}

template <std::size_t N, std::size_t R, bool Half>
void conv_block(const ConvLayer& layer, const Chunk& chunk, const Spot* spots, std::uint8_t* moved) {
  V sums[R][N];
  const char* in[R];
#pragma GCC unroll 8
  for (std::size_t r = 0; r < R; ++r) {
    in[r] = reinterpret_cast<const char*>(spots[r].in);
#pragma GCC unroll 8
    for (std::size_t v = 0; v < N; ++v) {
      sums[r][v] = V::load(layer.bias + (chunk.first + v) * kLanes);
    }
  }
  const float* weights = layer.weights + chunk.weights;
  const std::uint32_t* tap = layer.taps;
  std::size_t count = layer.tap_count;
  if (layer.runs != 0) {
    tap = layer.scratch;
    count = used_taps<R>(layer, in, layer.scratch);
  }
  for (const std::uint32_t* end = tap + count; tap != end; ++tap) {
    const std::ptrdiff_t at = layer.offsets[*tap];
    const float* from = weights + std::size_t{*tap} * (N * kLanes);
    V w[N];
#pragma GCC unroll 8
    for (std::size_t v = 0; v < N; ++v) w[v] = V::load(from + v * kLanes);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < R; ++r) {
      const V x = V::set(*reinterpret_cast<const float*>(in[r] + at));
#pragma GCC unroll 8
      for (std::size_t v = 0; v < N; ++v) sums[r][v] = multiply_add_exact(x, w[v], sums[r][v]);
    }
  }
#pragma GCC unroll 8
  for (std::size_t r = 0; r < R; ++r) {
    float* out = spots[r].out + chunk.first * kLanes;
    const bool changed = finish<N, Half>(sums[r], layer.function, out, moved != nullptr);
    if (moved != nullptr) moved[r] |= changed ? 1 : 0;
  }
}

template <std::size_t N, bool Half>
void conv_chunk(const ConvLayer& layer, const Chunk& chunk, const Spot* spots, std::size_t count,
                std::uint8_t* moved) {
  constexpr std::size_t most = rows_of(N);
  std::size_t i = 0;
  const auto flags = [&] { return moved == nullptr ? nullptr : moved + i; };
  for (; i + most <= count; i += most) {
    conv_block<N, most, Half>(layer, chunk, spots + i, flags());
  }
  for (; most > 4 && i + 4 <= count; i += 4) {
    conv_block<N, smaller_of(most, 4), Half>(layer, chunk, spots + i, flags());
  }
  for (; most > 2 && i + 2 <= count; i += 2) {
    conv_block<N, smaller_of(most, 2), Half>(layer, chunk, spots + i, flags());
  }
  for (; i < count; ++i) conv_block<N, 1, Half>(layer, chunk, spots + i, flags());
}

template <std::size_t N>
void conv_vectors(const ConvLayer& layer, const Chunk& chunk, const Spot* spots, std::size_t count,
                  std::uint8_t* moved) {
  if constexpr (N > 0) {
    if (chunk.vectors != N) return conv_vectors<N - 1>(layer, chunk, spots, count, moved);
    if constexpr (kLanes > kChannels) {
      if ((chunk.first + N) * kLanes > layer.channels) {
        return conv_chunk<N, true>(layer, chunk, spots, count, moved);
      }
    }
    conv_chunk<N, false>(layer, chunk, spots, count, moved);
  }
}

void conv(const ConvLayer& layer, const Spot* spots, std::size_t count, std::uint8_t* moved) {
  for (std::size_t i = 0; i < layer.chunk_count; ++i) {
    conv_vectors<kMostVectors>(layer, layer.chunks[i], spots, count, moved);
  }
  // Weights of 0 times infinity are not a number; those who read the padding count on 0.
  const std::size_t padding = layer.channels - layer.outputs;
  for (std::size_t i = 0; padding != 0 && i < count; ++i) {
    std::memset(spots[i].out + layer.outputs, 0, padding * sizeof(float));
  }
}

// Eight channels at a time: one vector, its half or two of them.
template <class Each>
inline bool by_channels(std::size_t channels, float* out, bool compare, Function function,
                        Each each) {
  bool moved = false;
  for (std::size_t c = 0; c < channels; c += kLanes) {
    const V value = each(c);
    if (kLanes > kChannels && c + kLanes > channels) {
      moved |= finish<1, true>(&value, function, out + c, compare);
    } else {
      moved |= finish<1, false>(&value, function, out + c, compare);
    }
  }
  return moved;
}

void pool(const PoolLayer& layer, const Spot* spots, std::size_t count, std::uint8_t* moved) {
  const V divisor = V::set(layer.divisor);
  for (std::size_t i = 0; i < count; ++i) {
    const float* in = spots[i].in;
    const bool changed = by_channels(
        layer.channels, spots[i].out, moved != nullptr, layer.function, [&](std::size_t c) {
          V value = V::load(in + c + layer.offsets[0]);
          for (std::size_t k = 1; k < layer.taps; ++k) {
            const V next = V::load(in + c + layer.offsets[k]);
            value = layer.average ? add(value, next) : larger(next, value);
          }
          return layer.average ? div(value, divisor) : value;
        });
    if (moved != nullptr) moved[i] |= changed ? 1 : 0;
  }
}

void sum(const SumLayer& layer, const Spot* spots, std::size_t count, std::uint8_t* moved) {
  for (std::size_t i = 0; i < count; ++i) {
    const float* in = spots[i].in;
    const bool changed = by_channels(
        layer.channels, spots[i].out, moved != nullptr, layer.function, [&](std::size_t c) {
          V value = V::load(layer.bias + c);
          for (std::size_t p = 0; p < layer.planes; ++p) {
            value = add(value, V::load(in + p * layer.plane + c));
          }
          return value;
        });
    if (moved != nullptr) moved[i] |= changed ? 1 : 0;
  }
}

// N vectors of outputs of one position; U sums each hide the latency of an addition.
template <std::size_t N, std::size_t U>
inline const float* share(const float* x, const std::uint32_t* which, std::size_t count,
                          const float* weights, float* out) {
  V sums[U][N];
  for (std::size_t u = 0; u < U; ++u) {
    for (std::size_t v = 0; v < N; ++v) sums[u][v] = V::set(0.0F);
  }
  const auto step = [&](std::size_t u, std::size_t i) {
    const float* w = weights + which[i] * N * kLanes;
    const V value = V::set(x[which[i]]);
#pragma GCC unroll 4
    for (std::size_t v = 0; v < N; ++v) {
      sums[u][v] = multiply_add_exact(value, V::load(w + v * kLanes), sums[u][v]);
    }
  };
  std::size_t i = 0;
  for (; i + U <= count; i += U) {
#pragma GCC unroll 4
    for (std::size_t u = 0; u < U; ++u) step(u, i + u);
  }
  for (; i < count; ++i) step(0, i);
#pragma GCC unroll 4
  for (std::size_t v = 0; v < N; ++v) {
    V all = sums[0][v];
    for (std::size_t u = 1; u < U; ++u) all = add(all, sums[u][v]);
    all.store(out + v * kLanes);
  }
  return weights;
}

// Several inputs side by side in each vector.
inline void share_rest(const LinearLayer& layer, const Spread& spread, const float* x,
                       const float* weights, float* out) {
  const std::size_t each = kLanes / layer.rest;
  V sums[2] = {V::set(0.0F), V::set(0.0F)};
  std::size_t c = 0;
  for (; c + 2 * each <= layer.channels; c += 2 * each, weights += 2 * kLanes) {
    sums[0] = multiply_add_exact(spread(x + c), V::load(weights), sums[0]);
    sums[1] = multiply_add_exact(spread(x + c + each), V::load(weights + kLanes), sums[1]);
  }
  for (; c < layer.channels; c += each, weights += kLanes) {
    // What lies behind the last channel is another position's: times 0 it need not be 0.
    float last[kLanes] = {};
    std::memcpy(last, x + c, smaller_of(layer.channels - c, each) * sizeof(float));
    sums[0] = multiply_add_exact(spread(last), V::load(weights), sums[0]);
  }
  add(sums[0], sums[1]).store(out);
}

void shares(const LinearLayer& layer, const Share* list, std::size_t count, std::uint32_t* which) {
  const Spread spread(layer.rest == 0 ? 1 : layer.rest);
  const bool skip = layer.finite && layer.full > 0;  // zeros are half of what comes from a ReLU
  for (std::uint32_t c = 0; c < layer.channels; ++c) which[c] = c;
  for (std::size_t i = 0; i < count; ++i) {
    const float* x = list[i].in;
    const float* weights = layer.weights + list[i].position * layer.stride;
    float* out = list[i].sums;
    std::size_t used = layer.channels;
    if (skip) {
      const char* in[] = {reinterpret_cast<const char*>(x)};
      used = 0;
      for (std::size_t c = 0; c < layer.channels; c += kLanes) {
        used += append_used<1>(in, static_cast<std::ptrdiff_t>(c * sizeof(float)),
                               smaller_of(layer.channels - c, kLanes),
                               static_cast<std::uint32_t>(c), which + used);
      }
    }
    for (std::size_t v = 0; v < layer.full;) {
      const std::size_t vectors = smaller_of(layer.full - v, 4);
      if (vectors == 4) share<4, 1>(x, which, used, weights, out);
      if (vectors == 3) share<3, 1>(x, which, used, weights, out);
      if (vectors == 2) share<2, 2>(x, which, used, weights, out);
      if (vectors == 1) share<1, 4>(x, which, used, weights, out);
      weights += vectors * kLanes * layer.channels;
      out += vectors * kLanes;
      v += vectors;
    }
    if (layer.rest > 0) share_rest(layer, spread, x, weights, out);
  }
}

void total(const LinearLayer& layer, const float* all, const std::uint32_t* blocks,
           std::size_t count, float* block_sums, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t first = blocks[i] * kBlock;
    const std::size_t last = smaller_of(first + kBlock, layer.positions);
    for (std::size_t v = 0; v < layer.width; v += kLanes) {
      V sums = V::load(all + first * layer.width + v);
      for (std::size_t p = first + 1; p < last; ++p) sums = add(sums, V::load(all + p * layer.width + v));
      sums.store(block_sums + blocks[i] * layer.width + v);
    }
  }
  const std::size_t many = (layer.positions + kBlock - 1) / kBlock;
  for (std::size_t v = 0; v < layer.width; v += kLanes) {
    V sums[4] = {V::set(0.0F), V::set(0.0F), V::set(0.0F), V::set(0.0F)};
    std::size_t b = 0;
    for (; b + 4 <= many; b += 4) {
#pragma GCC unroll 4
      for (std::size_t u = 0; u < 4; ++u) {
        sums[u] = add(sums[u], V::load(block_sums + (b + u) * layer.width + v));
      }
    }
    for (; b < many; ++b) sums[0] = add(sums[0], V::load(block_sums + b * layer.width + v));
    const V whole = add(add(sums[0], sums[1]), add(sums[2], sums[3]));
    if (v < layer.full * kLanes) {
      whole.store(out + v);
      continue;
    }
    float lanes[kLanes];
    whole.store(lanes);
    for (std::size_t j = 0; j < smaller_of(layer.rest, layer.outputs - v); ++j) {
      float folded = lanes[j];
      for (std::size_t g = layer.rest; g < kLanes; g += layer.rest) folded += lanes[g + j];
      out[v + j] = folded;
    }
  }
  for (std::size_t j = 0; j < layer.padded; j += kLanes) {
    activated(layer.function, add(V::load(out + j), V::load(layer.bias + j))).store(out + j);
  }
}

const Kernels table(const char* isa) {
  return {isa, kLanes, kMostVectors, conv, pool, sum, shares, total, differ_bytes};
}
