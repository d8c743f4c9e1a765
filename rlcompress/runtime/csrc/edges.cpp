#include "edges.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace rlcompress {
namespace {

// From (channels, height, width) to the storage's order.
template <class Element>
void interleave(const Storage& storage, const Element* from, Element* to) {
  const Shape& shape = storage.shape;
  for (std::uint32_t y = 0; y < shape.height; ++y) {
    for (std::uint32_t c = 0; c < shape.channels; ++c) {
      const Element* line = from + (std::size_t{c} * shape.height + y) * shape.width;
      Element* pixel = to + storage.position(y, 0) + c;
      for (std::uint32_t x = 0; x < shape.width; ++x) pixel[std::size_t{x} * storage.pixel] = line[x];
    }
  }
}

template <class Element>
void copy_rows(const Storage& storage, const Element* from, Element* to) {
  const std::size_t line = std::size_t{storage.shape.width} * storage.shape.channels;
  for (std::uint32_t y = 0; y < storage.shape.height; ++y) {
    std::memcpy(to + storage.position(y, 0), from + y * line, line * sizeof(Element));
  }
}

template <class Element>
void place(const Observation& observation, const Storage& storage, const Element* from,
           Element* to) {
  if (observation.channels_first) {
    interleave(storage, from, to);
  } else {
    copy_rows(storage, from, to);
  }
}

void squash(const Action& action, const KernelTable& kernels, const float* outputs, float* result) {
  kernels.tanh(outputs, result, action.size);
  for (std::size_t i = 0; i < action.size; ++i) {
    const float low = action.low[i];
    result[i] = low + (0.5F * (result[i] + 1.0F)) * (action.high[i] - low);
  }
}

void clip(const Action& action, const float* outputs, float* result) {
  for (std::size_t i = 0; i < action.size; ++i) {
    const float raised = outputs[i] > action.low[i] ? outputs[i] : action.low[i];
    result[i] = raised < action.high[i] ? raised : action.high[i];
  }
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

std::size_t place_observation(const Plan& plan, Workspace& workspace, std::size_t sample,
                              const void* observation, ElementType type) {
  const Observation& o = plan.program.observation;
  const Storage& storage = plan.layout.of(0);
  if (o.image) {
    place(o, storage, static_cast<const std::uint8_t*>(observation),
          workspace.at<std::uint8_t>(storage, sample));
    return o.size;
  }
  Normalise normalise;
  if (o.normalised) normalise = {o.mean.data(), o.inverse_std.data(), o.clip};
  float* target = workspace.at<float>(storage, sample);
  float* flat = storage.shape.vector ? target : workspace.scratch() + plan.flat_at;
  std::size_t bad;
  if (type == ElementType::Float64) {
    bad = plan.kernels->prepare_f64(normalise, static_cast<const double*>(observation), flat, o.size);
  } else {
    bad = plan.kernels->prepare_f32(normalise, static_cast<const float*>(observation), flat, o.size);
  }
  if (!storage.shape.vector) place(o, storage, flat, target);
  return bad;
}

void read_outputs(const Plan& plan, Workspace& workspace, std::size_t sample, float* outputs) {
  const Storage& last = plan.layout.of(plan.program.ops.size());
  const float* values = workspace.at<float>(last, sample);
  for (std::size_t i = 0; i < plan.output_at.size(); ++i) outputs[i] = values[plan.output_at[i]];
}

void act(const Plan& plan, const float* outputs, void* action) {
  const Action& a = plan.program.action;
  if (a.kind == ActionKind::Squash) return squash(a, *plan.kernels, outputs, static_cast<float*>(action));
  if (a.kind == ActionKind::Clip) return clip(a, outputs, static_cast<float*>(action));
  const std::int64_t best = argmax(a, outputs, plan.output_at.size());
  std::memcpy(action, &best, sizeof best);
}

}  // namespace rlcompress
