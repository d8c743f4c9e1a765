#include "validate.h"

#include <cstdlib>

namespace rlcompress {
namespace {

constexpr std::int64_t kBiasLimit = std::int64_t{1} << 30;
constexpr std::int64_t kAccumulatorLimit = (std::int64_t{1} << 31) - 1;
constexpr std::size_t kMaxElements = std::size_t{1} << 25;  // of all values together

void require(bool condition, const char* message) {
  if (!condition) throw ImageError(message);
}

// Output axis of a window that fits at least once, or 0.
std::uint64_t windows(std::uint64_t size, const Window& window, int axis) {
  const std::uint64_t padded = size + 2 * std::uint64_t{window.padding[axis]};
  if (padded < window.kernel[axis]) return 0;
  return (padded - window.kernel[axis]) / window.stride[axis] + 1;
}

void validate_window(const Op& op, const Shape& input) {
  const Shape& output = op.output.shape;
  require(!input.vector && !output.vector, "a window needs values with three axes");
  require(windows(input.height, op.window, 0) == output.height &&
              windows(input.width, op.window, 1) == output.width,
          "the output's shape does not follow from kernel, stride and padding");
}

// That no sum a row can form leaves int32.
void validate_accumulators(const LinearWeights& linear, const TensorType& input) {
  const std::int64_t reach = input.highest();
  for (std::uint32_t row = 0; row < linear.rows; ++row) {
    const std::int64_t bias = std::llabs(linear.integer_bias[row]);
    require(bias <= kBiasLimit, "a bias is beyond 2^30");
    std::int64_t total = 0;
    const float* weights = linear.weight.data() + row * linear.columns;
    for (std::size_t i = 0; i < linear.columns; ++i) {
      total += std::llabs(static_cast<std::int64_t>(weights[i]));
    }
    require(total * reach + bias <= kAccumulatorLimit, "a sum of the layer can leave int32");
  }
}

void validate_linear(const Op& op, const TensorType& input) {
  const LinearWeights& linear = op.linear;
  require(linear.rows == op.output.shape.channels, "weights and output differ in channels");
  const std::size_t window = std::size_t{op.window.kernel[0]} * op.window.kernel[1];
  require(linear.columns == window * input.shape.channels, "weights and input differ in channels");
  if (op.tag == OpTag::Conv) {
    validate_window(op, input.shape);
  } else {
    require(input.shape.vector && op.output.shape.vector, "a dense layer reads and writes vectors");
    require(window == 1, "a dense layer has no kernel");
  }
  if (linear.integer) {
    require(input.quantised(), "integer arithmetic needs a quantised input");
    validate_accumulators(linear, input);
  }
}

void validate_pool(const Op& op, const TensorType& input) {
  validate_window(op, input.shape);
  const Window& window = op.window;
  require(2 * window.padding[0] <= window.kernel[0] && 2 * window.padding[1] <= window.kernel[1],
          "padding of a pool is at most half its kernel");
  require(op.output.shape.channels == input.shape.channels && op.output.kind == input.kind &&
              op.output.bits == input.bits,
          "a pool keeps channels, kind and bits");
}

void validate_add(const Op& op, const TensorType& a, const TensorType& b) {
  require(a.shape == op.output.shape && b.shape == op.output.shape, "an add needs equal shapes");
  require(a.quantised() == op.output.quantised() && b.quantised() == op.output.quantised(),
          "an add's values are all quantised or all float");
}

void validate_activation(const Op& op, const TensorType& input) {
  require(op.function != Function::None, "an activation has a function");
  require(op.output.shape == input.shape, "an activation keeps the shape");
  if (op.function == Function::Relu && input.quantised()) {
    require(op.output.quantised() && op.output.highest() >= input.highest(),
            "a quantised relu keeps its integers");
  }
}

void validate_flatten(const Op& op, const TensorType& input) {
  require(op.output.shape.vector && op.output.shape.channels == input.shape.size(),
          "a flatten keeps the number of elements");
  require(op.output.kind == input.kind && op.output.bits == input.bits,
          "a flatten keeps kind and bits");
}

void validate_encoder(const Op& op, const TensorType& input) {
  const bits::Encoder& encoder = op.encoder;
  require(!input.quantised() && input.shape.vector && input.shape.channels == encoder.inputs,
          "an encoder reads a float vector with edges for each element");
  require(op.output.kind == Kind::Binary && op.output.shape.vector &&
              op.output.shape.channels == encoder.bits(),
          "an encoder writes its bits");
  for (std::size_t i = 1; i < encoder.edges.size(); ++i) {
    require(i % encoder.edges_each == 0 || encoder.edges[i - 1] <= encoder.edges[i],
            "edges must ascend");
  }
}

void validate_binary(const Op& op, const TensorType& input) {
  constexpr std::int64_t exact = std::int64_t{1} << 24;
  const bits::LayerNumbers& binary = op.binary;
  require(input.shape.vector && input.shape.channels == binary.columns &&
              op.output.shape.vector && op.output.shape.channels == binary.rows,
          "weights of bits do not fit the values");
  require(op.output.kind == Kind::Binary || op.output.kind == Kind::Float,
          "a layer of bits writes bits, or its sums as floats");
  for (const std::int32_t bias : binary.biases) {
    require(std::llabs(bias) <= kBiasLimit, "a bias is beyond 2^30");
    require(op.output.kind == Kind::Binary ||
                std::llabs(bias) + static_cast<std::int64_t>(binary.columns) <= exact,
            "a sum is beyond the integers of a float");
  }
}

}  // namespace

void validate_op(const Program& program, std::size_t index) {
  const Op& op = program.ops[index];
  const TensorType& input = program.value(op.inputs[0]);
  const bool reads_bits =
      input.kind == Kind::Binary || program.value(op.inputs[1]).kind == Kind::Binary;
  require(reads_bits == (op.tag == OpTag::BinaryDense), "only layers of bits read bits");
  require(op.output.kind != Kind::Binary || op.on_bits(), "only ops on bits write bits");
  switch (op.tag) {
    case OpTag::Dense:
    case OpTag::Conv:
      return validate_linear(op, input);
    case OpTag::MaxPool:
      return validate_pool(op, input);
    case OpTag::Add:
      return validate_add(op, input, program.value(op.inputs[1]));
    case OpTag::Activation:
      return validate_activation(op, input);
    case OpTag::Flatten:
      return validate_flatten(op, input);
    case OpTag::Encode:
      return validate_encoder(op, input);
    case OpTag::BinaryDense:
      return validate_binary(op, input);
  }
}

void validate_program(const Program& program) {
  const TensorType& last = program.ops.back().output;
  require(last.kind == Kind::Float && last.shape.vector, "the last value must be a float vector");
  const Action& action = program.action;
  const std::size_t outputs = program.outputs();
  if (action.kind == ActionKind::Count) {
    const bool discrete = action.low.empty() && action.high.empty();
    require(action.quantiles == 1, "only the largest of outputs has quantiles");
    require(!discrete || action.shape.empty(), "a discrete action has no shape");
    require(discrete || (action.low.size() == action.size && action.high.size() == action.size &&
                         outputs % action.size == 0),
            "a counted action has limits and as many outputs for each element");
  } else if (action.kind == ActionKind::Argmax) {
    require(outputs % action.quantiles == 0, "outputs must be quantiles x actions");
    require(action.shape.empty() && action.low.empty(), "a discrete action has no shape and no limits");
  } else {
    require(action.quantiles == 1, "only discrete actions have quantiles");
    require(action.size == outputs, "a continuous action has one element per output");
    require(action.low.size() == outputs, "a continuous action has limits");
  }
  std::size_t elements = program.observation.size;
  for (const Op& op : program.ops) {
    elements += op.output.shape.size();
    require(elements <= kMaxElements, "the values are too large");
  }
}

}  // namespace rlcompress
