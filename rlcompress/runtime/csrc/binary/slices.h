// Batches by slices: a plane holds one input of many samples, and a neuron adds up planes.
//
// A layer's inputs are numbers of one bit, v of them, with a weight each: input and weight agree or
// they do not, and a neuron fires where enough agree. Three numbers a, b, c are a parity and a
// majority, a + b + c = parity + 2 majority. A weight turns its number around; turned around, a
// parity stays a parity, and there are eight majorities, which all neurons have in common. So three
// numbers are taken from the front of a queue, their eight majorities kept in a table, and their
// parity goes to its end as a number with a weight of its own, until one is left: the lowest bit of
// the sum. A neuron adds up the majorities that its own weights choose.
//
// The queue ends with the lowest bit of what the count begins with (2^planes less the count that
// fires, so that what is carried out of the last plane says who fires) and numbers that are 0.
#pragma once

#include "bits.h"

namespace rlcompress::bits {

constexpr std::size_t kMostSliced = 1023;  // inputs
constexpr std::size_t kLeastPlanes = 7;    // of a count
constexpr std::size_t kTriplesAtOnce = 8;  // the number of triples is a multiple of it

// Triples of a layer; all of them have 2 triples + 1 numbers at first.
constexpr std::size_t triples_of(std::size_t inputs) {
  return round_up((inputs + 1) / 2, kTriplesAtOnce);
}

// Planes of a count of agreements.
constexpr std::size_t planes_of(std::size_t inputs) {
  std::size_t planes = kLeastPlanes;
  while (std::size_t{1} << planes <= inputs) ++planes;
  return planes;
}

// Rows of planes that a layer's inputs take, with what its queue needs behind them.
constexpr std::size_t rows_of(std::size_t inputs) { return 3 * triples_of(inputs) + 1; }

// What the neurons of a layer choose and begin with.
struct Slices {
  std::size_t triples = 0;
  std::size_t planes = 0;
  std::vector<std::uint8_t> places;   // for each neuron and triple the pattern, in words of a plane
  std::vector<std::uint32_t> begins;  // for each neuron its bits but the lowest, spread
  std::vector<std::uint8_t> always;   // for each neuron whether it fires whatever agrees
  std::vector<std::uint32_t> weights;  // for each neuron of the last layer its weights, spread
};

Slices slice(const Layer& layer, std::size_t plane_words);
Slices slice_last(const Layer& layer);

}  // namespace rlcompress::bits
