// The validated form of a policy: plain numbers whose every index and size has been checked.
// Knows nothing of how it arrived (image.h) or how it is run (plan.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "binary/layers.h"

namespace rlcompress {

enum class Kind : std::uint8_t { Float, Unsigned, Signed, Binary };
enum class Function : std::uint8_t { None, Relu, Tanh, HardTanh };
enum class OpTag : std::uint8_t {
  Dense,
  Conv,
  MaxPool,
  Add,
  Activation,
  Flatten,
  Encode,
  BinaryDense
};
enum class ActionKind : std::uint8_t { Squash, Clip, Argmax, Count };

// One sample of a value. A vector of n is 1 x 1 x n.
struct Shape {
  std::uint32_t height = 1;
  std::uint32_t width = 1;
  std::uint32_t channels = 1;
  bool vector = true;

  std::size_t positions() const { return std::size_t{height} * width; }
  std::size_t size() const { return positions() * channels; }
  bool operator==(const Shape& other) const {
    return height == other.height && width == other.width && channels == other.channels &&
           vector == other.vector;
  }
};

struct TensorType {
  Shape shape;
  Kind kind = Kind::Float;
  std::uint32_t bits = 8;
  float scale = 1.0F;

  bool quantised() const { return kind != Kind::Float; }
  std::int32_t highest() const {
    return kind == Kind::Unsigned ? (1 << bits) - 1 : (1 << (bits - 1)) - 1;
  }
  std::int32_t lowest() const { return kind == Kind::Unsigned ? 0 : -highest(); }
  // Signed integers are kept as bytes shifted by 128, so that every kernel reads unsigned bytes.
  std::uint8_t zero_byte() const { return kind == Kind::Signed ? 128 : 0; }
  float inverse_scale() const { return 1.0F / scale; }
};

struct Window {
  std::uint32_t kernel[2] = {1, 1};
  std::uint32_t stride[2] = {1, 1};
  std::uint32_t padding[2] = {0, 0};
};

// Weights (rows, kernel height, kernel width, channels), zeros included.
struct LinearWeights {
  bool integer = false;  // int8 weights, int32 bias and accumulator
  std::uint32_t rows = 0;
  std::size_t columns = 0;
  std::vector<float> weight;  // int8 values are exact in float
  std::vector<float> multiplier;  // one per row
  std::vector<float> bias;
  std::vector<std::int32_t> integer_bias;
};

struct Op {
  OpTag tag = OpTag::Flatten;
  std::uint32_t inputs[2] = {0, 0};  // MaxPool, Activation, ... read only the first
  TensorType output;
  Window window;
  Function function = Function::None;
  float bound = 1.0F;
  float multipliers[2] = {1.0F, 1.0F};
  LinearWeights linear;
  bits::Encoder encoder;
  bits::LayerNumbers binary;

  // Whether it is an op on single bits, which lie packed in words where a value has its bytes.
  bool on_bits() const { return tag == OpTag::Encode || tag == OpTag::BinaryDense; }
};

struct Observation {
  std::vector<std::uint32_t> shape;  // the environment's
  TensorType type;  // of value 0
  std::size_t size = 0;
  bool image = false;
  bool channels_first = false;
  bool normalised = false;
  float clip = 10.0F;
  std::vector<float> mean, inverse_std;  // in the environment's layout
};

struct Action {
  ActionKind kind = ActionKind::Argmax;
  std::vector<std::uint32_t> shape;
  std::uint32_t size = 1;  // elements of one action
  std::uint32_t quantiles = 1;
  std::int64_t start = 0;
  std::vector<float> low, high;

  // Whether an action is one integer.
  bool discrete() const {
    return kind == ActionKind::Argmax || (kind == ActionKind::Count && low.empty());
  }
};

struct Program {
  Observation observation;
  Action action;
  std::vector<Op> ops;

  const TensorType& value(std::size_t index) const {
    return index == 0 ? observation.type : ops[index - 1].output;
  }
  std::size_t outputs() const { return ops.back().output.shape.size(); }
};

}  // namespace rlcompress
