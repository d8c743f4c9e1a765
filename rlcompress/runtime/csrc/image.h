// Reads and validates engine images: the flat form in which a policy enters native code.
//
// An image is untrusted. Every number is checked against the bytes that are there and against the
// types of the values it refers to before anything is allocated or addressed with it.
//
// All numbers are 4 bytes, little endian, unless said otherwise. A shape is its rank and its axes.
//
//   "RLCIMAGE", version = 1, number of ops
//   observation: flags (1 image, 2 channels first, 4 normalised), shape, f32 scale, f32 clip,
//                if normalised f32 mean[n] and f32 inverse deviation[n]
//   action:      kind (squash, clip, argmax), shape, quantiles, i64 start, number of limits m,
//                f32 low[m], f32 high[m]
//   each op:     tag, inputs[2], output (kind, bits, f32 scale, shape), then
//     dense, conv: function, f32 bound, flags (1 int8 weights, 2 int32 bias), weight shape[4],
//                  stride[2], padding[2], number of multipliers m (1 or rows), f32 multiplier[m],
//                  bias[rows], number of non-zeros z, bits saying which weights they are (lowest
//                  bit first, filled up to 4 bytes), then z int8 (filled up to 4 bytes) or z f32
//     max pool:    kernel[2], stride[2], padding[2]
//     add:         f32 multipliers[2]
//     activation:  function, f32 bound
//     flatten:     nothing
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "program.h"

namespace rlcompress {

struct ImageError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// Throws ImageError for anything that is not a valid image.
Program read_image(const std::uint8_t* data, std::size_t size);

}  // namespace rlcompress
