#include "slices.h"

namespace rlcompress::bits {
namespace {

// The patterns of a neuron whose weights lie a block apart.
void choose(const std::uint64_t* weights, std::size_t inputs, bool odd, std::size_t triples,
            std::size_t plane_words, std::vector<std::uint8_t>& turned, std::uint8_t* places) {
  for (std::size_t j = 0; j < inputs; ++j) {
    turned[j] = (weights[j / 64 * kLanes] >> (j % 64) & 1) == 0 ? 1 : 0;
  }
  turned[inputs] = odd ? 1 : 0;
  std::uint8_t* last = turned.data() + 2 * triples + 1;
  for (std::size_t t = 0; t < triples; ++t) {
    const std::uint8_t* three = turned.data() + 3 * t;
    places[t] = static_cast<std::uint8_t>((three[0] | three[1] << 1 | three[2] << 2) * plane_words);
    last[t] = three[0] ^ three[1] ^ three[2];
  }
}

}  // namespace

Slices slice(const Layer& layer, std::size_t plane_words) {
  Slices slices;
  slices.triples = triples_of(layer.inputs);
  slices.planes = planes_of(layer.inputs);
  slices.places.resize(layer.outputs * slices.triples);
  std::vector<std::uint8_t> turned(rows_of(layer.inputs));
  for (std::size_t o = 0; o < layer.outputs; ++o) {
    // n < threshold differ where more than inputs - threshold agree.
    const auto most = static_cast<std::int64_t>(layer.inputs) + 1;
    const std::int64_t threshold = layer.thresholds[o] < 0 ? 0 : layer.thresholds[o];
    const std::int64_t agree = threshold < most ? most - threshold : 0;
    const auto begin = (std::uint64_t{1} << slices.planes) - static_cast<std::uint64_t>(agree);
    for (std::size_t k = 1; k < slices.planes; ++k) {
      slices.begins.push_back((begin >> k & 1) != 0 ? ~std::uint32_t{0} : 0);
    }
    slices.always.push_back(agree == 0 ? 1 : 0);
    choose(layer.weights + o / kLanes * layer.words * kLanes + o % kLanes, layer.inputs,
           (begin & 1) != 0, slices.triples, plane_words, turned,
           slices.places.data() + o * slices.triples);
  }
  return slices;
}

Slices slice_last(const Layer& layer) {
  Slices slices;
  const std::size_t count = round_up(layer.inputs, kTriplesAtOnce);
  for (std::size_t o = 0; o < layer.outputs; ++o) {
    const std::uint64_t* weights = layer.weights + o / kLanes * layer.words * kLanes + o % kLanes;
    for (std::size_t j = 0; j < count; ++j) {
      const bool set = (weights[j / 64 * kLanes] >> (j % 64) & 1) != 0;
      slices.weights.push_back(set ? ~std::uint32_t{0} : 0);
    }
  }
  return slices;
}

}  // namespace rlcompress::bits
