// Batches by table, for compilers to turn into whatever vectors there are.

// Eight bytes of 0 or 1 to eight bits, the first byte to the lowest.
inline std::uint64_t gather_bits(const std::uint8_t* bytes) {
  std::uint64_t eight = 0;
  for (std::size_t k = 0; k < 8; ++k) eight |= std::uint64_t{bytes[k]} << (8 * k);
  return eight * 0x0102040810204080U >> 56;
}

// Neurons `first` .. first + 31 of one sample.
inline std::uint64_t fire_32(const std::uint8_t* table, std::size_t row, std::size_t groups,
                             const std::uint8_t* limits, const std::uint64_t* x) {
  std::uint64_t sums[kNeuronStep / 8] = {};  // bytes that never carry
  for (std::size_t g = 0; g < groups; ++g) {
    const std::uint64_t four = x[g / 16] >> (g % 16 * 4) & 15;
    const std::uint8_t* from = table + (g * 16 + four) * row;
    for (std::size_t i = 0; i < kNeuronStep / 8; ++i) {
      std::uint64_t part;
      std::memcpy(&part, from + 8 * i, sizeof part);
      sums[i] += part;
    }
  }
  std::uint8_t counts[kNeuronStep], fired[kNeuronStep];
  std::memcpy(counts, sums, sizeof counts);
  for (std::size_t i = 0; i < kNeuronStep; ++i) fired[i] = counts[i] < limits[i] ? 1 : 0;
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < kNeuronStep; i += 8) bits |= gather_bits(fired + i) << i;
  return bits;
}

[[maybe_unused]] void fire_table(const Layer& layer, const void* prepared, const std::uint64_t* x,
                                 std::uint64_t* out, std::size_t count) {
  const std::size_t out_words = words_of(layer.outputs);
  if (table_bytes(layer) == 0) {
    for (std::size_t s = 0; s < count; ++s) {
      fire_words(layer, x + s * layer.words, out + s * out_words);
    }
    return;
  }
  const auto* table = static_cast<const std::uint8_t*>(prepared);
  const std::size_t row = table_row(layer);
  const std::size_t groups = (layer.inputs + 3) / 4;
  const std::uint8_t* limits = table + groups * 16 * row;
  for (std::size_t s = 0; s < count; ++s, x += layer.words, out += out_words) {
    for (std::size_t first = 0; first < row; first += kNeuronStep) {
      const std::uint64_t bits = fire_32(table + first, row, groups, limits + first, x);
      out[first / 64] = first % 64 == 0 ? bits : out[first / 64] | bits << 32;
    }
  }
}
