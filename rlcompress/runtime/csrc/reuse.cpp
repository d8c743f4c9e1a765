#include "reuse.h"

#include <algorithm>
#include <cstring>

#include "execute.h"

namespace rlcompress {
namespace {

// Cycles, roughly: of copying and comparing a position's outputs, and of placing and comparing a
// byte of the observation.
constexpr double kCompareCost = 45;
constexpr double kDetectCost = 0.05;
// After a frame that was not worth it so many are run as a whole, without looking for changes: one,
// then three, and so on.
constexpr unsigned kMostSkipped = 15;
constexpr double kWorthwhile = 0.95;

bool is_image(const Plan& plan) { return plan.program.observation.image; }

std::size_t output_bytes(const Storage& storage) { return storage.pixel * storage.element_size(); }

// What a window is in terms of the map of a value that lies in cells: cells.
Window cell_window(const Window& window, const Storage& storage) {
  Window cells;
  for (int axis = 0; axis < 2; ++axis) {
    cells.kernel[axis] = (window.kernel[axis] + storage.cell[axis] - 1) / storage.cell[axis];
  }
  return cells;
}

// The observation's map has a bit for each cell, border included; all others, for each position.
Shape map_shape(const Plan& plan, std::size_t index) {
  const Storage& storage = plan.layout.storages[index];
  if (index != plan.layout.storage_of[0] || !storage.in_cells()) return storage.shape;
  Shape cells;
  cells.height = static_cast<std::uint32_t>(storage.elements / storage.row);
  cells.width = storage.row / storage.step;
  return cells;
}

}  // namespace

ReuseState::ReuseState(const Plan& plan) : workspace_(plan, 1) {
  std::size_t positions = 1;
  std::size_t bytes = 0;
  std::size_t words = 1;
  std::size_t groups = 1;
  for (std::size_t index = 0; index < plan.layout.storages.size(); ++index) {
    const Storage& storage = plan.layout.storages[index];
    changes_.emplace_back(map_shape(plan, index));
    positions = std::max({positions, storage.shape.positions(), std::size_t{storage.shape.height}});
    bytes = std::max(bytes, storage.shape.positions() * output_bytes(storage));
    words = std::max<std::size_t>(words, changes_.back().words());
  }
  for (const Step& step : plan.steps) {
    groups = std::max(groups, step.groups.size());
    words = std::max(words, column_words(changes_[step.input], step.window));
  }
  columns_.resize(words);
  list_.resize(positions + 1);
  groups_.resize(groups);
  spots_.resize(positions);
  pool_spots_.resize(positions);
  before_.resize(bytes + kOverread);
  changed_.resize(positions);
  if (is_image(plan)) {
    const Storage& first = plan.layout.of(0);
    next_.assign(first.elements + kOverread, first.zero);
  }
}

std::size_t ReuseState::start(const Plan& plan, const void* observation, ElementType type) {
  valid_ = false;
  const std::size_t size = plan.program.observation.size;
  const std::size_t bad = place_observation(plan, workspace_, 0, observation, type);
  if (bad != size) return bad;
  run_steps(plan, workspace_, 1);
  if (!is_image(plan)) {
    const auto* bytes = static_cast<const std::uint8_t*>(observation);
    last_.assign(bytes, bytes + size * element_size(type));
  }
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
  if (skip_ > 0) {
    --skip_;
    return start(plan, observation, type);
  }
  for (ChangeMap& changes : changes_) changes.clear();
  find_changes(plan, static_cast<const std::uint8_t*>(observation));
  if (changes_[plan.layout.storage_of[0]].none()) return size;
  spent_ = kDetectCost * static_cast<double>(size);
  double whole = 0;
  for (const Step& step : plan.steps) {
    run_step_on_changes(plan, step);
    whole += step.cycles;
  }
  patience_ = spent_ > kWorthwhile * whole ? std::min(2 * patience_ + 1, kMostSkipped) : 0;
  skip_ = patience_;
  return size;
}

// Places the observation beside the last one and takes over what is different.
void ReuseState::find_changes(const Plan& plan, const std::uint8_t* observation) {
  const Storage& storage = plan.layout.of(0);
  place_observation(plan, next_.data(), workspace_.scratch(), observation, ElementType::Uint8);
  auto* values = workspace_.at<std::uint8_t>(storage);
  ChangeMap& changes = changes_[plan.layout.storage_of[0]];
  const std::size_t unit = storage.in_cells() ? storage.step : storage.pixel;
  for (std::uint32_t y = 0; y < changes.height(); ++y) {
    const std::size_t at = storage.in_cells() ? y * std::size_t{storage.row} : storage.position(y, 0);
    std::fill(columns_.begin(), columns_.begin() + changes.words(), std::uint64_t{0});
    plan.kernels->differing(values + at, next_.data() + at, unit, changes.width(), columns_.data());
    if (changes.add_row(y, columns_.data())) {
      std::memcpy(values + at, next_.data() + at, changes.width() * unit);
    }
  }
}

void ReuseState::run_all(const Plan& plan, const Step& step) {
  run_step(plan, step, workspace_, 1);
  spent_ += step.cycles;
  changes_[step.output].set_all();
}

void ReuseState::run_step_on_changes(const Plan& plan, const Step& step) {
  ChangeMap& in = changes_[step.input];
  const bool two = step.tag == OpTag::Add;
  if (in.none() && (!two || changes_[step.second].none())) return;
  const bool on_bits = step.tag == OpTag::Encode || step.tag == OpTag::BinaryDense;
  const bool whole = step.tag == OpTag::Dense || step.tag == OpTag::Flatten || on_bits;
  if (whole || in.all() || (two && changes_[step.second].all())) {
    return run_all(plan, step);
  }
  if (step.tag == OpTag::Conv || step.tag == OpTag::MaxPool) return run_windows(plan, step);
  run_rows(plan, step);
}

void ReuseState::run_windows(const Plan& plan, const Step& step) {
  const Shape& shape = plan.layout.storages[step.output].shape;
  const Storage& input = plan.layout.storages[step.input];
  const bool cells = step.input == plan.layout.storage_of[0] && input.in_cells();
  const Window window = cells ? cell_window(step.window, input) : step.window;
  const std::size_t count =
      affected(changes_[step.input], window, shape, columns_.data(), list_.data());
  const double share = static_cast<double>(count) / static_cast<double>(shape.positions());
  const double cost = share * step.cycles + kCompareCost * static_cast<double>(count);
  if (cost > step.cycles) return run_all(plan, step);
  spent_ += cost;
  if (count > 0) run_positions(plan, step, count);
}

// Only the positions in the list, which are then compared with what they were.
void ReuseState::run_positions(const Plan& plan, const Step& step, std::size_t count) {
  const Storage& out = plan.layout.storages[step.output];
  const bool pool = step.tag == OpTag::MaxPool;
  if (pool) {
    for (std::size_t i = 0; i < count; ++i) {
      pool_spots_[i] = step.pool_spots[list_[i]];
      spots_[i] = {pool_spots_[i].in, pool_spots_[i].out};
    }
  } else {
    for (std::size_t i = 0; i < count; ++i) spots_[i] = step.spots[list_[i]];
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
  std::uint32_t y = 0;
  std::uint32_t first = 0;  // position of the row's start
  for (std::size_t i = 0; i < count; ++i) {
    while (list_[i] - first >= out.shape.width) {
      ++y;
      first += out.shape.width;
    }
    changes.set(y, list_[i] - first, changed_[i] != 0);
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
