#include "edges.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace rlcompress {
namespace {

// Copies pieces of a fixed size, which compilers turn into single moves.
template <std::size_t size>
void copy_pieces(const std::uint8_t* from, std::uint8_t* to, std::size_t step, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) std::memcpy(to + i * step, from + i * size, size);
}

// One line of positions into a storage's row.
template <class Element>
void place_line(const Storage& storage, std::size_t y, const Element* from, Element* to) {
  const std::size_t width = storage.shape.width;
  const std::size_t cell = storage.cell[1];
  const std::size_t size = storage.pixel * sizeof(Element);
  std::size_t x = 0;
  if (!storage.in_cells()) {
    std::memcpy(to + storage.position(y, 0), from, width * size);
    return;
  }
  const auto single = [&] {
    std::memcpy(to + storage.position(y, x), from + x * storage.pixel, size);
    ++x;
  };
  while (x < width && (x + storage.border[1]) % cell != 0) single();
  const std::size_t whole = (width - x) / cell;
  const auto* source = reinterpret_cast<const std::uint8_t*>(from + x * storage.pixel);
  auto* target = reinterpret_cast<std::uint8_t*>(to + storage.position(y, x));
  const std::size_t step = storage.step * sizeof(Element);
  if (cell * size == 16) {
    copy_pieces<16>(source, target, step, whole);
  } else if (cell * size == 8) {
    copy_pieces<8>(source, target, step, whole);
  } else {
    for (std::size_t i = 0; i < whole; ++i) {
      std::memcpy(target + i * step, source + i * cell * size, cell * size);
    }
  }
  x += whole * cell;
  while (x < width) single();
}

// `line` has room for one line of positions.
template <class Element>
void place(const Plan& plan, const Element* from, Element* to, Element* line) {
  const Storage& storage = plan.layout.of(0);
  const Shape& shape = storage.shape;
  for (std::size_t y = 0; y < shape.height; ++y) {
    if (!plan.program.observation.channels_first) {
      place_line(storage, y, from + y * shape.width * shape.channels, to);
      continue;
    }
    const Element* rows = from + y * shape.width;
    if constexpr (sizeof(Element) == 1) {
      plan.kernels->interleave_bytes(rows, shape.positions(), shape.channels, line, shape.width);
    } else {
      plan.kernels->interleave_floats(rows, shape.positions(), shape.channels, line, shape.width);
    }
    place_line(storage, y, line, to);
  }
}

ImageLayer image_layer(const Plan& plan) {
  const Storage& storage = plan.layout.of(0);
  ImageLayer image;
  image.height = storage.shape.height;
  image.width = storage.shape.width;
  image.channels = storage.shape.channels;
  image.channels_first = plan.program.observation.channels_first;
  image.bordered = storage.border[0] + storage.border[1] > 0;
  image.cell[0] = storage.cell[0];
  image.cell[1] = storage.cell[1];
  image.row = storage.row;
  return image;
}

void squash(const Action& action, const KernelTable& kernels, const float* outputs,
            std::size_t count, float* result) {
  kernels.tanh(outputs, result, count * action.size);
  for (std::size_t s = 0; s < count; ++s, result += action.size) {
    for (std::size_t i = 0; i < action.size; ++i) {
      const float low = action.low[i];
      result[i] = low + (0.5F * (result[i] + 1.0F)) * (action.high[i] - low);
    }
  }
}

void clip(const Action& action, const float* outputs, std::size_t count, float* result) {
  for (std::size_t s = 0; s < count; ++s, outputs += action.size, result += action.size) {
    for (std::size_t i = 0; i < action.size; ++i) {
      const float raised = outputs[i] > action.low[i] ? outputs[i] : action.low[i];
      result[i] = raised < action.high[i] ? raised : action.high[i];
    }
  }
}

// The outputs above 0 of each element, as far as they go from its lower to its upper limit.
void count_levels(const Action& action, const float* outputs, std::size_t levels, float* result) {
  for (std::size_t i = 0; i < action.size; ++i, outputs += levels) {
    std::size_t count = 0;
    for (std::size_t k = 0; k < levels; ++k) count += outputs[k] > 0 ? 1 : 0;
    const float step = (action.high[i] - action.low[i]) / static_cast<float>(levels);
    result[i] = action.low[i] + static_cast<float>(count) * step;
  }
}

std::int64_t count_positive(const Action& action, const float* outputs, std::size_t size) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < size; ++i) count += outputs[i] > 0 ? 1 : 0;
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(action.start) + count);
}

std::int64_t argmax(const Action& action, const float* outputs, std::size_t count) {
  const std::size_t actions = count / action.quantiles;
  float best = -std::numeric_limits<float>::infinity();
  std::size_t index = 0;
  for (std::size_t i = 0; i < actions; ++i) {
    float total = outputs[i];
    for (std::size_t q = 1; q < action.quantiles; ++q) total += outputs[q * actions + i];
    if (total > best) {
      best = total;
      index = i;
    }
  }
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(action.start) + index);
}

}  // namespace

std::size_t element_size(ElementType type) {
  switch (type) {
    case ElementType::Uint8:
      return 1;
    case ElementType::Float32:
      return 4;
    case ElementType::Float64:
      return 8;
  }
  return 0;
}

std::size_t place_observation(const Plan& plan, void* storage, float* scratch,
                              const void* observation, ElementType type) {
  const Observation& o = plan.program.observation;
  float* line = scratch + plan.line_at;
  if (o.image) {
    const auto* from = static_cast<const std::uint8_t*>(observation);
    auto* to = static_cast<std::uint8_t*>(storage);
    const auto placed = plan.kernels->place_image;
    if (placed == nullptr || !placed(image_layer(plan), from, to)) {
      place(plan, from, to, reinterpret_cast<std::uint8_t*>(line));
    }
    return o.size;
  }
  Normalise normalise;
  if (o.normalised) normalise = {o.mean.data(), o.inverse_std.data(), o.clip};
  const bool vector = plan.layout.of(0).shape.vector;
  float* target = static_cast<float*>(storage);
  float* flat = vector ? target : line + plan.line_size;
  std::size_t bad = 0;
  if (type == ElementType::Float64) {
    const auto* from = static_cast<const double*>(observation);
    bad = plan.kernels->prepare_f64(normalise, from, flat, o.size);
  } else {
    const auto* from = static_cast<const float*>(observation);
    bad = plan.kernels->prepare_f32(normalise, from, flat, o.size);
  }
  if (!vector) place(plan, flat, target, line);
  return bad;
}

std::size_t place_observation(const Plan& plan, Workspace& workspace, std::size_t sample,
                              const void* observation, ElementType type) {
  return place_observation(plan, workspace.at<void>(plan.layout.of(0), sample), workspace.scratch(),
                           observation, type);
}

void read_outputs(const Plan& plan, Workspace& workspace, std::size_t sample, float* outputs) {
  const Storage& last = plan.layout.of(plan.program.ops.size());
  const float* values = workspace.at<float>(last, sample);
  for (std::size_t i = 0; i < plan.output_at.size(); ++i) outputs[i] = values[plan.output_at[i]];
}

void act(const Plan& plan, const float* outputs, std::size_t count, void* actions) {
  const Action& action = plan.program.action;
  switch (action.kind) {
    case ActionKind::Squash:
      return squash(action, *plan.kernels, outputs, count, static_cast<float*>(actions));
    case ActionKind::Clip:
      return clip(action, outputs, count, static_cast<float*>(actions));
    case ActionKind::Argmax:
    case ActionKind::Count:
      break;
  }
  auto* to = static_cast<std::uint8_t*>(actions);
  const std::size_t size = plan.output_at.size();
  if (!action.discrete()) {
    auto* result = static_cast<float*>(actions);
    for (std::size_t s = 0; s < count; ++s) {
      count_levels(action, outputs + s * size, size / action.size, result + s * action.size);
    }
    return;
  }
  for (std::size_t s = 0; s < count; ++s) {
    const std::int64_t best = action.kind == ActionKind::Count
                                  ? count_positive(action, outputs + s * size, size)
                                  : argmax(action, outputs + s * size, size);
    std::memcpy(to + s * sizeof best, &best, sizeof best);
  }
}

}  // namespace rlcompress
