// One call: every stage for all frames of the batch, each at the positions that need it.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "plan.h"

namespace rlcompress::stack {

// What a stage has to look at: the pixels or the outputs before it that came out otherwise.
const Bits& Plan::dirty(const Slot& slot, std::size_t stage) const {
  return stage == 0 ? slot.changes[slot.newest] : slot.moved[stage - 1];
}

// Sets what the stage computes (`todo`) and, as far as that is known before, what may come out
// otherwise (`moved`).
void Plan::mark(std::size_t stage, Slot& slot) {
  Bits& todo = slot.todo[stage];
  slot.full = !slot.known || !spec_.reuse;
  if (slot.full) {
    todo.fill();
    return slot.moved[stage].fill();
  }
  find_dirty(stage, slot);
  if (spec_.stages[stage].kind == Kind::Linear) return;
  slot.moved[stage] = todo;
  if (!spec_.thresholds.empty()) return;
  // To list a position and compare what it comes to costs about as much as four multiply-adds of
  // each output: where nearly all are dirty, computing the others as well costs less. What is found
  // unchanged behind a pooling saves others work, which is why it is compared in any case.
  if (spec_.stages[stage].kind != Kind::Conv || (stage == 0 && spec_.lags > 1)) return;
  const std::size_t terms = convs_[stage].layer.tap_count;
  slot.full = todo.count() * (terms + 4) > todo.rows() * todo.columns() * terms;
  if (slot.full) todo.fill();
}

void Plan::find_dirty(std::size_t stage, Slot& slot) {
  const StageSpec& spec = spec_.stages[stage];
  Bits& todo = slot.todo[stage];
  if (stage == 0 && spec_.lags > 1) return;  // run_lags found it
  const Bits& before = dirty(slot, stage);
  if (!before.any()) return todo.clear();
  if (spec.kind != Kind::Linear) {
    if (before.rows() == spec.in.rows && before.columns() == spec.in.columns) {
      return dilate(spec.window, before, todo, bits_);
    }
    return todo.fill();  // behind a linear stage: one position
  }
  if (before.rows() * before.columns() != todo.columns()) return todo.fill();
  flatten(before, todo);
}

void Plan::list_spots(const Bits& todo, const Tables& tables, const float* in, float* out) {
  const std::size_t columns = todo.columns();
  for_each(todo, [&](std::size_t y, std::size_t x) {
    const std::size_t p = y * columns + x;
    spots_.push_back({in + tables.in[p], out + tables.out[p]});
  });
}

void Plan::compute(std::size_t stage, std::uint8_t* moved) {
  if (stage == 0 && spec_.lags > 1) {
    kernels_.sum(sum_, spots_.data(), spots_.size(), moved);
  } else if (spec_.stages[stage].kind == Kind::Conv) {
    kernels_.conv(convs_[stage].layer, spots_.data(), spots_.size(), moved);
  } else {
    kernels_.pool(pools_[stage].layer, spots_.data(), spots_.size(), moved);
  }
}

// Puts outputs aside first: those that moved too little stay what they were.
void Plan::compute_above(std::size_t stage, float threshold, std::uint8_t* moved) {
  const std::size_t channels = maps_[stage + 1].stride;
  aside_.resize(spots_.size() * channels + kSlack);
  const std::vector<Spot> wanted = spots_;
  for (std::size_t i = 0; i < spots_.size(); ++i) spots_[i].out = aside_.data() + i * channels;
  compute(stage, nullptr);
  for (std::size_t i = 0; i < spots_.size(); ++i) {
    const float* now = spots_[i].out;
    float* kept = wanted[i].out;
    for (std::size_t c = 0; c < channels; ++c) {
      moved[i] |= !(std::fabs(now[c] - kept[c]) <= threshold) ? 1 : 0;
    }
    if (moved[i] != 0) std::copy_n(now, channels, kept);
  }
}

void Plan::list_stage(std::size_t stage, Slot& slot) {
  const Tables& tables = tables_[stage];
  if (stage > 0 || spec_.lags == 1) {
    const float* in = stage == 0 ? slot.frames[slot.newest].data() : slot.maps[stage - 1].data();
    return list_spots(slot.todo[stage], tables, in, slot.maps[stage].data());
  }
  const std::size_t columns = slot.todo[0].columns();  // reads the planes, which lie as the map does
  for_each(slot.todo[0], [&](std::size_t y, std::size_t x) {
    const std::size_t at = tables.out[y * columns + x];
    spots_.push_back({slot.planes.data() + at, slot.maps[0].data() + at});
  });
}

void Plan::run_map(std::size_t stage, const std::size_t* slots, std::size_t count) {
  spots_.clear();
  for (std::size_t i = 0; i < count; ++i) {
    Slot& slot = slots_[slots[i]];
    mark(stage, slot);
    if (slot.full) list_stage(stage, slot);
  }
  counts_[stage + 1] = spots_.size();
  compute(stage, nullptr);
  spots_.clear();
  for (std::size_t i = 0; i < count; ++i) {
    Slot& slot = slots_[slots[i]];
    if (!slot.full) list_stage(stage, slot);
  }
  counts_[stage + 1] += spots_.size();
  moved_.assign(spots_.size(), 0);
  if (approximate(stage + 1)) {
    compute_above(stage, spec_.thresholds[stage + 1], moved_.data());
  } else {
    compute(stage, moved_.data());
  }
  settle(stage, slots, count);
}

// What of the positions that were looked at came out otherwise.
void Plan::settle(std::size_t stage, const std::size_t* slots, std::size_t count) {
  std::size_t first = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Slot& slot = slots_[slots[i]];
    if (slot.full) continue;
    Bits& moved = slot.moved[stage];
    const std::size_t number = slot.todo[stage].count();
    const std::uint8_t* flags = moved_.data() + first;
    if (number != 0 && std::memchr(flags, 0, number) != nullptr) {
      std::size_t at = 0;
      for_each(slot.todo[stage], [&](std::size_t y, std::size_t x) {
        if (flags[at++] == 0) moved.drop(y, x);
      });
    }
    first += number;
  }
}

void Plan::run_lags(const std::size_t* slots, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    Slot& slot = slots_[slots[i]];
    if (!slot.known || !spec_.reuse) {
      slot.todo[0].fill();
    } else {
      slot.todo[0].clear();
    }
  }
  Bits part(spec_.stages[0].out.rows, spec_.stages[0].out.columns);
  for (std::size_t lag = 0; lag < spec_.lags; ++lag) {
    spots_.clear();
    for (std::size_t i = 0; i < count; ++i) {
      Slot& slot = slots_[slots[i]];
      const std::size_t at = (slot.newest + lag) % spec_.lags;
      if (!slot.known || !spec_.reuse) {
        part.fill();
      } else {
        dilate(spec_.stages[0].window, slot.changes[at], part, bits_);
        slot.todo[0].add(part);
      }
      list_spots(part, tables_[0], slot.frames[at].data(), slot.planes.data() + lag * sum_.plane);
    }
    kernels_.conv(lags_[lag].layer, spots_.data(), spots_.size(), nullptr);
  }
}

void Plan::run_linear(std::size_t stage, const std::size_t* slots, std::size_t count) {
  const LinearLayer& layer = linears_[stage].layer;
  const std::size_t step = maps_[stage].shape.rows * maps_[stage].shape.columns > 1
                               ? maps_[stage].stride : 16;
  shares_.clear();
  for (std::size_t i = 0; i < count; ++i) {
    Slot& slot = slots_[slots[i]];
    mark(stage, slot);
    const float* in = stage == 0 ? slot.frames[slot.newest].data() : slot.maps[stage - 1].data();
    for_each(slot.todo[stage], [&](std::size_t, std::size_t p) {
      shares_.push_back({in + p * step, slot.shares[stage].data() + p * layer.width, p});
    });
  }
  counts_[stage + 1] = shares_.size();
  if (!shares_.empty()) kernels_.shares(layer, shares_.data(), shares_.size(), which_.data());
  for (std::size_t i = 0; i < count; ++i) finish_linear(stage, slots_[slots[i]]);
}

void Plan::finish_linear(std::size_t stage, Slot& slot) {
  const LinearLayer& layer = linears_[stage].layer;
  const Bits& todo = slot.todo[stage];
  Bits& moved = slot.moved[stage];
  moved.clear();
  blocks_.clear();
  for_each(todo, [&](std::size_t, std::size_t p) {
    const auto block = static_cast<std::uint32_t>(p / kBlock);
    if (blocks_.empty() || blocks_.back() != block) blocks_.push_back(block);
  });
  if (blocks_.empty()) return;
  aside_.resize(std::max(aside_.size(), layer.padded));
  kernels_.total(layer, slot.shares[stage].data(), blocks_.data(), blocks_.size(),
                 slot.block_sums[stage].data(), aside_.data());
  const bool fresh = !slot.known || !spec_.reuse;
  const float most = approximate(stage + 1) ? spec_.thresholds[stage + 1] : 0.0F;
  float* kept = slot.maps[stage].data() + maps_[stage + 1].at(0, 0);
  for (std::size_t o = 0; o < layer.outputs; o += 16) {
    const std::size_t size = std::min<std::size_t>(16, layer.outputs - o);
    bool differs = fresh;
    for (std::size_t j = o; j < o + size; ++j) {
      differs = differs || !(std::fabs(aside_[j] - kept[j]) <= most);
    }
    if (!differs) continue;
    moved.set(0, o / 16);
    std::copy_n(aside_.data() + o, size, kept + o);
  }
}

void Plan::run(const void* frames, const std::size_t* slots, std::size_t count,
               const std::uint8_t* changed, float* out) {
  const std::size_t pixels = spec_.frame.rows * spec_.frame.columns;
  const std::size_t size = pixels * spec_.frame.channels * (spec_.bytes ? 1 : 4);
  counts_[0] = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Slot& slot = slots_[slots[i]];
    take_frame(slot, static_cast<const std::uint8_t*>(frames) + i * size,
               changed == nullptr ? nullptr : changed + i * pixels);
    counts_[0] += slot.changes[slot.newest].count();
  }
  for (std::size_t stage = 0; stage < spec_.stages.size(); ++stage) {
    if (spec_.stages[stage].kind == Kind::Linear) {
      run_linear(stage, slots, count);
      continue;
    }
    if (stage == 0 && spec_.lags > 1) run_lags(slots, count);
    run_map(stage, slots, count);
  }
  for (std::size_t i = 0; i < count; ++i) {
    Slot& slot = slots_[slots[i]];
    slot.known = true;
    emit(slot, out + i * outputs());
  }
}

}  // namespace rlcompress::stack
