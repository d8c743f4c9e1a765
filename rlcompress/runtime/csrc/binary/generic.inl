// What every instruction set shares; included inside each file's own namespace, after
// `count_bits(word)` and, where it has them, its own kernels.

[[maybe_unused]] void fire_words(const Layer& layer, const std::uint64_t* x, std::uint64_t* out) {
  const std::uint64_t* weights = layer.weights;
  for (std::size_t block = 0; block < layer.blocks; ++block) {
    std::int64_t counts[kLanes] = {};
    for (std::size_t w = 0; w < layer.words; ++w, weights += kLanes) {
      for (std::size_t i = 0; i < kLanes; ++i) counts[i] += count_bits(x[w] ^ weights[i]);
    }
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < kLanes; ++i) {
      bits |= std::uint64_t{counts[i] < layer.thresholds[block * kLanes + i]} << i;
    }
    if (block % 8 == 0) out[block / 8] = 0;
    out[block / 8] |= bits << (block % 8 * kLanes);
  }
}

[[maybe_unused]] void sums_words(const Layer& layer, const std::uint64_t* x, std::int32_t* z) {
  for (std::size_t o = 0; o < layer.outputs; ++o) {
    const std::uint64_t* weights = layer.weights + o / kLanes * layer.words * kLanes + o % kLanes;
    std::int64_t count = 0;
    for (std::size_t w = 0; w < layer.words; ++w) count += count_bits(x[w] ^ weights[w * kLanes]);
    z[o] = static_cast<std::int32_t>(layer.offsets[o] - 2 * count);
  }
}

[[maybe_unused]] void sums_each(const Layer& layer, const void*, const std::uint64_t* x,
                                std::int32_t* z, std::size_t count) {
  if (layer.words == 1 && layer.outputs == 1) {
    const std::uint64_t weights = layer.weights[0];
    const std::int32_t offset = layer.offsets[0];
    for (std::size_t s = 0; s < count; ++s) {
      z[s] = offset - 2 * static_cast<std::int32_t>(count_bits(x[s] ^ weights));
    }
    return;
  }
  for (std::size_t s = 0; s < count; ++s, x += layer.words, z += layer.outputs) {
    sums_words(layer, x, z);
  }
}

// Small layers by tables: a group of four input bits adds one of sixteen rows of counts, one byte
// per neuron. Up to 252 inputs a sum stays in its byte.
constexpr std::size_t kNeuronStep = 32;
constexpr std::size_t kTableBytes = 1 << 15;

inline std::size_t table_row(const Layer& layer) { return round_up(layer.outputs, kNeuronStep); }

[[maybe_unused]] std::size_t table_bytes(const Layer& layer) {
  const std::size_t size = (layer.inputs + 3) / 4 * 16 * table_row(layer);
  if (layer.inputs > 252 || layer.outputs < 16 || size > kTableBytes) return 0;
  return size + table_row(layer);  // and the largest count that fires, plus one
}

[[maybe_unused]] void fill_table(const Layer& layer, void* prepared) {
  auto* table = static_cast<std::uint8_t*>(prepared);
  const std::size_t row = table_row(layer);
  const std::size_t groups = (layer.inputs + 3) / 4;
  std::memset(table, 0, groups * 16 * row);
  for (std::size_t o = 0; o < layer.outputs; ++o) {
    const std::uint64_t* weights = layer.weights + o / kLanes * layer.words * kLanes + o % kLanes;
    for (std::size_t g = 0; g < groups; ++g) {
      const std::uint64_t four = weights[g / 16 * kLanes] >> (g % 16 * 4) & 15;
      for (std::uint64_t value = 0; value < 16; ++value) {
        table[(g * 16 + value) * row + o] = static_cast<std::uint8_t>(count_bits(value ^ four));
      }
    }
  }
  std::uint8_t* limits = table + groups * 16 * row;
  std::memset(limits, 0, row);
  for (std::size_t o = 0; o < layer.outputs; ++o) {
    const std::int64_t threshold = layer.thresholds[o];
    limits[o] = static_cast<std::uint8_t>(threshold < 0 ? 0 : threshold > 255 ? 255 : threshold);
  }
}

[[maybe_unused]] void encode_numbers(const Encoder& encoder, const float* numbers,
                                     std::uint64_t* out) {
  const std::size_t words = words_of(encoder.bits());
  for (std::size_t w = 0; w < words; ++w) out[w] = 0;
  const float* edges = encoder.edges.data();
  std::size_t at = 0;
  const auto put = [out](std::size_t place, std::uint64_t bits, std::size_t width) {
    const std::size_t shift = place % 64;
    out[place / 64] |= bits << shift;
    if (shift + width > 64) out[place / 64 + 1] |= bits >> (64 - shift);
  };
  for (std::size_t i = 0; i < encoder.inputs; ++i, edges += encoder.edges_each) {
    std::uint32_t below = 0;
    for (std::size_t k = 0; k < encoder.edges_each; ++k) below += numbers[i] > edges[k] ? 1 : 0;
    if (encoder.code == Code::OneHot) {
      put(at + below, 1, 1);
    } else if (encoder.code == Code::Gray) {
      put(at, std::uint64_t{below ^ below >> 1}, encoder.bits_each);
    } else {
      std::size_t done = 0;
      for (; done + 63 <= below; done += 63) put(at + done, ~std::uint64_t{0} >> 1, 63);
      const std::size_t rest = below - done;
      if (rest != 0) put(at + done, (std::uint64_t{1} << rest) - 1, rest);
    }
    at += encoder.bits_each;
  }
}
