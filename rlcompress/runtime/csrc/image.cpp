#include "image.h"

#include <cstdlib>

#include "reader.h"
#include "validate.h"

namespace rlcompress {
namespace {

constexpr std::uint32_t kMaxOps = 4096;
constexpr std::uint32_t kMaxRank = 8;
constexpr std::uint32_t kMaxAxis = 1U << 24;
constexpr std::size_t kMaxSize = std::size_t{1} << 24;

enum ObservationFlag : std::uint32_t { kImage = 1, kChannelsFirst = 2, kNormalised = 4 };
enum LinearFlag : std::uint32_t { kIntegerWeights = 1, kIntegerBias = 2 };

std::vector<std::uint32_t> read_shape(Reader& reader) {
  const std::uint32_t rank = reader.below(kMaxRank + 1, "rank");
  std::vector<std::uint32_t> shape(rank);
  std::size_t size = 1;
  for (std::uint32_t& axis : shape) {
    axis = reader.between(1, kMaxAxis, "axis");
    size *= axis;
    if (size > kMaxSize) throw ImageError("value is too large");
  }
  return shape;
}

std::size_t size_of(const std::vector<std::uint32_t>& shape) {
  std::size_t size = 1;
  for (const std::uint32_t axis : shape) size *= axis;
  return size;
}

TensorType read_type(Reader& reader) {
  TensorType type;
  type.kind = static_cast<Kind>(reader.below(4, "kind"));
  type.bits = reader.between(type.kind == Kind::Signed ? 2 : 1, 8, "bits");
  if (type.kind == Kind::Binary && type.bits != 1) throw ImageError("a binary value has one bit");
  type.scale = reader.positive("scale");
  const std::vector<std::uint32_t> shape = read_shape(reader);
  if (shape.size() == 1) {
    type.shape = {1, 1, shape[0], true};
  } else if (shape.size() == 3) {
    type.shape = {shape[0], shape[1], shape[2], false};
  } else {
    throw ImageError("a value has one or three axes");
  }
  return type;
}

Observation read_observation(Reader& reader) {
  Observation observation;
  const std::uint32_t flags = reader.below(8, "observation flags");
  observation.image = (flags & kImage) != 0;
  observation.channels_first = (flags & kChannelsFirst) != 0;
  observation.normalised = (flags & kNormalised) != 0;
  observation.shape = read_shape(reader);
  const std::vector<std::uint32_t>& shape = observation.shape;
  observation.size = size_of(shape);
  observation.type.scale = reader.positive("observation scale");
  observation.clip = reader.positive("clip");
  if (shape.size() == 3) {
    const bool first = observation.channels_first;
    observation.type.shape = first ? Shape{shape[1], shape[2], shape[0], false}
                                   : Shape{shape[0], shape[1], shape[2], false};
  } else {
    if (observation.image) throw ImageError("an image observation has three axes");
    observation.channels_first = false;
    observation.type.shape = {1, 1, static_cast<std::uint32_t>(observation.size), true};
  }
  if (observation.image) {
    if (observation.normalised) throw ImageError("an image observation is not normalised");
    observation.type.kind = Kind::Unsigned;
  } else {
    observation.type.scale = 1.0F;
  }
  if (observation.normalised) {
    observation.mean = reader.floats(observation.size, "mean");
    observation.inverse_std = reader.floats(observation.size, "inverse deviation");
  }
  return observation;
}

std::vector<float> read_limits(Reader& reader, std::uint32_t count) {
  reader.need(count, 4);
  std::vector<float> limits(count);
  for (float& limit : limits) {
    limit = reader.f32_any();
    if (limit != limit) throw ImageError("an action limit is not a number");
  }
  return limits;
}

Action read_action(Reader& reader) {
  Action action;
  action.kind = static_cast<ActionKind>(reader.below(4, "action kind"));
  action.shape = read_shape(reader);
  action.size = static_cast<std::uint32_t>(size_of(action.shape));
  action.quantiles = reader.between(1, 65536, "quantiles");
  action.start = reader.i64();
  const std::uint32_t limits = reader.u32();
  action.low = read_limits(reader, limits);
  action.high = read_limits(reader, limits);
  return action;
}

void read_window(Reader& reader, Window& window, bool with_kernel) {
  constexpr std::uint32_t most = 65536;
  if (with_kernel) {
    for (std::uint32_t& axis : window.kernel) axis = reader.between(1, most, "kernel");
  }
  for (std::uint32_t& axis : window.stride) axis = reader.between(1, most, "stride");
  for (std::uint32_t& axis : window.padding) axis = reader.below(most, "padding");
}

Function read_function(Reader& reader, Op& op) {
  op.function = static_cast<Function>(reader.below(4, "function"));
  op.bound = reader.positive("bound");
  return op.function;
}

void read_weights(Reader& reader, LinearWeights& linear, bool integer_weights) {
  const std::size_t size = linear.rows * linear.columns;
  const std::size_t stored = reader.u32();
  const std::size_t bitmap_size = (size + 31) / 32 * 4;
  const std::uint8_t* bitmap = reader.bytes(bitmap_size);
  std::size_t counted = 0;
  for (std::size_t i = 0; i < size; ++i) counted += bitmap[i / 8] >> (i % 8) & 1U;
  if (counted != stored) throw ImageError("the bitmap does not match the number of weights");
  linear.weight.assign(size, 0.0F);
  const std::uint8_t* bytes = nullptr;
  if (integer_weights) {
    bytes = reader.bytes((stored + 3) / 4 * 4);
  } else {
    reader.need(stored, 4);
  }
  for (std::size_t i = 0; i < size; ++i) {
    if ((bitmap[i / 8] >> (i % 8) & 1U) == 0) continue;
    linear.weight[i] = integer_weights ? static_cast<float>(static_cast<std::int8_t>(*bytes++))
                                       : reader.f32("weight");
  }
}

void read_linear(Reader& reader, Op& op) {
  LinearWeights& linear = op.linear;
  read_function(reader, op);
  const std::uint32_t flags = reader.below(4, "linear flags");
  linear.integer = (flags & kIntegerBias) != 0;
  if (linear.integer && (flags & kIntegerWeights) == 0) {
    throw ImageError("an int32 bias needs int8 weights");
  }
  std::size_t shape[4];
  std::size_t size = 1;
  for (std::size_t& axis : shape) {
    axis = reader.between(1, kMaxAxis, "weight axis");
    size *= axis;
    if (size > kMaxSize * 16) throw ImageError("a layer is too large");
  }
  linear.rows = static_cast<std::uint32_t>(shape[0]);
  linear.columns = size / shape[0];
  op.window.kernel[0] = static_cast<std::uint32_t>(shape[1]);
  op.window.kernel[1] = static_cast<std::uint32_t>(shape[2]);
  read_window(reader, op.window, false);
  const std::uint32_t multipliers = reader.u32();
  if (multipliers != 1 && multipliers != linear.rows) throw ImageError("wrong multiplier count");
  linear.multiplier = reader.floats(multipliers, "multiplier");
  reader.need(linear.rows, 4);
  if (multipliers == 1) linear.multiplier.resize(linear.rows, linear.multiplier[0]);
  if (linear.integer) {
    linear.integer_bias.resize(linear.rows);
    for (std::int32_t& bias : linear.integer_bias) bias = static_cast<std::int32_t>(reader.u32());
  } else {
    linear.bias = reader.floats(linear.rows, "bias");
  }
  read_weights(reader, linear, (flags & kIntegerWeights) != 0);
}

void read_encoder(Reader& reader, Op& op) {
  const auto code = static_cast<bits::Code>(reader.below(3, "code"));
  const std::size_t inputs = reader.between(1, kMaxAxis, "inputs");
  const std::size_t each = reader.between(1, 1024, "edges");
  if (inputs * each > kMaxSize) throw ImageError("an encoder is too large");
  const std::vector<float> edges = reader.floats(inputs * each, "edge");
  op.encoder = bits::make_encoder(code, inputs, each, edges.data());
}

void read_binary(Reader& reader, Op& op) {
  bits::LayerNumbers& binary = op.binary;
  binary.rows = reader.between(1, kMaxAxis, "rows");
  binary.columns = reader.between(1, kMaxAxis, "columns");
  if (binary.rows * binary.columns > kMaxSize * 16) throw ImageError("a layer is too large");
  reader.need(binary.rows, 4);
  binary.biases.resize(binary.rows);
  for (std::int32_t& bias : binary.biases) bias = static_cast<std::int32_t>(reader.u32());
  const std::size_t size = (binary.rows * binary.columns + 31) / 32 * 4;
  const std::uint8_t* weights = reader.bytes(size);
  binary.weights.assign(weights, weights + size);
}

Op read_op(Reader& reader, std::uint32_t values) {
  Op op;
  op.tag = static_cast<OpTag>(reader.below(8, "op"));
  for (std::uint32_t& input : op.inputs) input = reader.below(values, "input");
  op.output = read_type(reader);
  switch (op.tag) {
    case OpTag::Dense:
    case OpTag::Conv:
      read_linear(reader, op);
      break;
    case OpTag::MaxPool:
      read_window(reader, op.window, true);
      break;
    case OpTag::Add:
      for (float& multiplier : op.multipliers) multiplier = reader.f32("multiplier");
      break;
    case OpTag::Activation:
      read_function(reader, op);
      break;
    case OpTag::Encode:
      read_encoder(reader, op);
      break;
    case OpTag::BinaryDense:
      read_binary(reader, op);
      break;
    case OpTag::Flatten:
      break;
  }
  return op;
}

}  // namespace

Program read_image(const std::uint8_t* data, std::size_t size) {
  Reader reader(data, size);
  if (std::memcmp(reader.bytes(8), "RLCIMAGE", 8) != 0) throw ImageError("not an engine image");
  const std::uint32_t version = reader.u32();
  if (version != 1) throw ImageError("unknown image version " + std::to_string(version));
  const std::uint32_t ops = reader.between(1, kMaxOps, "number of ops");
  Program program;
  program.observation = read_observation(reader);
  program.action = read_action(reader);
  for (std::uint32_t k = 0; k < ops; ++k) {
    try {
      program.ops.push_back(read_op(reader, k + 1));
      validate_op(program, k);
    } catch (const ImageError& error) {
      throw ImageError("op " + std::to_string(k) + ": " + error.what());
    }
  }
  if (reader.left() != 0) throw ImageError("bytes left over at the end of the image");
  validate_program(program);
  return program;
}

}  // namespace rlcompress
