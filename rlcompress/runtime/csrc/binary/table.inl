// Batches by table, for compilers to turn into whatever vectors there are.

// The highest bit of each of eight bytes, the first byte to the lowest bit.
inline std::uint64_t high_bits(const std::uint8_t* bytes) {
  std::uint64_t bits = 0;
  for (std::size_t k = 0; k < 8; ++k) bits |= std::uint64_t{bytes[k]} >> 7 << k;
  return bits;
}

[[maybe_unused]] void fire_table(const Layer& layer, const void* prepared, const std::uint64_t* x,
                                 std::uint64_t* out, std::size_t count) {
  const std::size_t out_words = words_of(layer.outputs);
  if (table_bytes(layer) == 0) {
    for (std::size_t s = 0; s < count; ++s) fire_words(layer, x + s * layer.words, out + s * out_words);
    return;
  }
  const auto* table = static_cast<const std::uint8_t*>(prepared);
  const std::size_t row = table_row(layer);
  const std::size_t groups = (layer.inputs + 3) / 4;
  const std::uint8_t* limits = table + groups * 16 * row;
  for (std::size_t s = 0; s < count; ++s, x += layer.words, out += out_words) {
    for (std::size_t w = 0; w < out_words; ++w) out[w] = 0;
    for (std::size_t first = 0; first < row; first += kNeuronStep) {
      std::uint8_t sums[kNeuronStep] = {};
      for (std::size_t g = 0; g < groups; ++g) {
        const std::uint64_t four = x[g / 16] >> (g % 16 * 4) & 15;
        const std::uint8_t* from = table + (g * 16 + four) * row + first;
        for (std::size_t i = 0; i < kNeuronStep; ++i) sums[i] += from[i];
      }
      std::uint8_t fired[kNeuronStep];
      for (std::size_t i = 0; i < kNeuronStep; ++i) fired[i] = sums[i] < limits[first + i] ? 128 : 0;
      for (std::size_t i = 0; i < kNeuronStep; i += 8) {
        out[(first + i) / 64] |= high_bits(fired + i) << ((first + i) % 64);
      }
    }
  }
}
