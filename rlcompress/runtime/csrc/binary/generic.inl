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
