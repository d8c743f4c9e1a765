#include "reuse.h"

#include <algorithm>
#include <cstring>

#include "execute.h"

namespace rlcompress {
namespace {

// From this share of positions on, everything is run: comparing would cost more than it saves.
constexpr std::size_t kMostOf = 4;
constexpr std::size_t kMost = 3;

bool is_image(const Plan& plan) { return plan.program.observation.image; }

std::size_t output_bytes(const Storage& storage) { return storage.pixel * storage.element_size(); }

}  // namespace

ReuseState::ReuseState(const Plan& plan) : workspace_(plan, 1) {
  std::size_t positions = 1;
  std::size_t bytes = 0;
  std::size_t words = 1;
  std::size_t groups = 1;
  for (const Storage& storage : plan.layout.storages) {
    changes_.emplace_back(storage.shape);
    positions = std::max(positions, storage.shape.positions());
    bytes = std::max(bytes, storage.shape.positions() * output_bytes(storage));
    words = std::max<std::size_t>(words, changes_.back().words());
  }
  for (const Step& step : plan.steps) groups = std::max(groups, step.groups.size());
  columns_.resize(words);
  list_.resize(positions);
  groups_.resize(groups);
  spots_.resize(positions);
  pool_spots_.resize(positions);
  before_.resize(bytes + kOverread);
  changed_.resize(positions);
}

std::size_t ReuseState::start(const Plan& plan, const void* observation, ElementType type) {
  valid_ = false;
  const std::size_t size = plan.program.observation.size;
  const std::size_t bad = place_observation(plan, workspace_, 0, observation, type);
  if (bad != size) return bad;
  run_steps(plan, workspace_, 1);
  const auto* bytes = static_cast<const std::uint8_t*>(observation);
  last_.assign(bytes, bytes + size * element_size(type));
  type_ = type;
  valid_ = true;
  return size;
}

std::size_t ReuseState::run(const Plan& plan, const void* observation, ElementType type) {
  const std::size_t size = plan.program.observation.size;
  if (!valid_ || type != type_) return start(plan, observation, type);
  if (!is_image(plan)) {
    if (std::memcmp(last_.data(), observation, last_.size()) == 0) return size;
    return start(plan, observation, type);
  }
  for (ChangeMap& changes : changes_) changes.clear();
  find_changes(plan, static_cast<const std::uint8_t*>(observation));
  if (changes_[plan.layout.storage_of[0]].none()) return size;
  for (const Step& step : plan.steps) run_step_on_changes(plan, step);
  return size;
}

void ReuseState::find_changes(const Plan& plan, const std::uint8_t* observation) {
  const Shape& shape = plan.program.observation.type.shape;
  const bool planes = plan.program.observation.channels_first;
  const std::size_t channels = planes ? shape.channels : 1;
  const std::size_t pixel = planes ? 1 : shape.channels;
  const std::size_t line = shape.width * pixel;
  ChangeMap& changes = changes_[plan.layout.storage_of[0]];
  for (std::uint32_t y = 0; y < shape.height; ++y) {
    std::fill(columns_.begin(), columns_.end(), std::uint64_t{0});
    for (std::size_t c = 0; c < channels; ++c) {
      const std::size_t at = (c * shape.height + y) * line;
      plan.kernels->differing(last_.data() + at, observation + at, pixel, shape.width,
                              columns_.data());
    }
    if (!changes.add_row(y, columns_.data())) continue;
    for (std::size_t c = 0; c < channels; ++c) {
      const std::size_t at = (c * shape.height + y) * line;
      std::memcpy(last_.data() + at, observation + at, line);
    }
    place_image_row(plan, workspace_, 0, observation, y);
  }
}

void ReuseState::run_all(const Plan& plan, const Step& step) {
  run_step(plan, step, workspace_, 1);
  changes_[step.output].set_all();
}

void ReuseState::run_step_on_changes(const Plan& plan, const Step& step) {
  ChangeMap& in = changes_[step.input];
  const bool two = step.tag == OpTag::Add;
  if (in.none() && (!two || changes_[step.second].none())) return;
  if (step.tag == OpTag::Dense || in.all() || (two && changes_[step.second].all())) {
    return run_all(plan, step);
  }
  if (step.tag == OpTag::Conv || step.tag == OpTag::MaxPool) return run_windows(plan, step);
  run_rows(plan, step);
}

void ReuseState::run_windows(const Plan& plan, const Step& step) {
  const Shape& shape = plan.layout.storages[step.output].shape;
  const std::size_t count =
      affected(changes_[step.input], step.window, shape, columns_.data(), list_.data());
  if (count * kMostOf > shape.positions() * kMost) return run_all(plan, step);
  if (count > 0) run_positions(plan, step, count);
}

// Only the positions in the list, which are then compared with what they were.
void ReuseState::run_positions(const Plan& plan, const Step& step, std::size_t count) {
  const Storage& out = plan.layout.storages[step.output];
  const bool pool = step.tag == OpTag::MaxPool;
  for (std::size_t i = 0; i < count; ++i) {
    if (pool) {
      pool_spots_[i] = step.pool_spots[list_[i]];
      spots_[i] = {pool_spots_[i].in, pool_spots_[i].out};
    } else {
      spots_[i] = step.spots[list_[i]];
    }
  }
  auto* values = workspace_.at<std::uint8_t>(out);
  const std::size_t bytes = output_bytes(out);
  const std::size_t scale = out.element_size();
  plan.kernels->gather(values, scale, spots_.data(), count, bytes, before_.data());
  if (pool) {
    run_pool(plan, step, workspace_, 0, pool_spots_.data(), count);
  } else if (step.linear.packing == Packing::Planes) {
    std::size_t groups = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t y = list_[i] / out.shape.width;
      const std::uint32_t x = list_[i] % out.shape.width;
      const std::uint32_t group = (y * step.linear.planes.plane[1] + x) / kLaneStep;
      if (groups == 0 || groups_[groups - 1] != group) groups_[groups++] = group;
    }
    run_planes(plan, step, workspace_, 0, groups_.data(), groups);
  } else {
    run_linear(plan, step, workspace_, 0, spots_.data(), count);
  }
  plan.kernels->compare(values, scale, spots_.data(), count, bytes, before_.data(),
                        changed_.data());
  ChangeMap& changes = changes_[step.output];
  for (std::size_t i = 0; i < count; ++i) {
    if (changed_[i] != 0) changes.set(list_[i] / out.shape.width, list_[i] % out.shape.width);
  }
}

// Element-wise ops go over rows (or, where rows do not lie in one piece, positions).
void ReuseState::run_rows(const Plan& plan, const Step& step) {
  ChangeMap& changes = changes_[step.output];
  changes.add(changes_[step.input]);
  if (step.tag == OpTag::Add) changes.add(changes_[step.second]);
  const std::size_t runs = std::max(step.spots.size(), step.add_spots.size());
  const std::size_t per_row = runs / changes.height();
  for (std::uint32_t y = 0; y < changes.height(); ++y) {
    if (changes.row_changed(y)) run_elements(plan, step, workspace_, 0, y * per_row, per_row);
  }
}

}  // namespace rlcompress
