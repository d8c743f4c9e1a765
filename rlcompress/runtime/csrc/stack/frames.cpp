// Frames as they come in: what changed, and the changed pixels as floats.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "plan.h"

namespace rlcompress::stack {

float Plan::pixel(const std::uint8_t* frame, std::size_t index) const {
  if (spec_.bytes) return values_[frame[index]];
  float value;
  std::memcpy(&value, frame + index * 4, 4);
  return value / spec_.divisor;
}

// One row of every channel into the map that the first stage reads.
void Plan::copy_row(const std::uint8_t* frame, std::size_t y, float* to) const {
  const Shape& shape = spec_.frame;
  const std::size_t stride = maps_[0].stride;
  for (std::size_t c = 0; c < shape.channels; ++c) {
    const std::size_t from = (c * shape.rows + y) * shape.columns;
    float* at = to + maps_[0].at(y, 0) + c;
    if (spec_.bytes) {
      const std::uint8_t* row = frame + from;
      const float* values = values_.data();
      for (std::size_t x = 0; x < shape.columns; ++x) at[x * stride] = values[row[x]];
    } else {
      for (std::size_t x = 0; x < shape.columns; ++x) at[x * stride] = pixel(frame, from + x);
    }
  }
}

// Whole rows of which any pixel changed.
void Plan::copy_rows(Slot& slot, const std::uint8_t* frame, const Bits& where) {
  const Shape& shape = spec_.frame;
  const std::size_t size = shape.columns * (spec_.bytes ? 1 : 4);
  for (std::size_t y = 0; y < shape.rows; ++y) {
    std::uint64_t any = 0;
    for (std::size_t w = 0; w < where.words(); ++w) any |= where.row(y)[w];
    if (any == 0) continue;
    copy_row(frame, y, slot.frames[slot.newest].data());
    for (std::size_t c = 0; c < shape.channels; ++c) {
      const std::size_t at = (c * shape.rows + y) * size;
      std::memcpy(slot.raw.data() + at, frame + at, size);
    }
  }
}

void Plan::copy_pixels(Slot& slot, const std::uint8_t* frame, const Bits& where) {
  const Shape& shape = spec_.frame;
  const std::size_t size = spec_.bytes ? 1 : 4;
  float* to = slot.frames[slot.newest].data();
  for_each(where, [&](std::size_t y, std::size_t x) {
    float* at = to + maps_[0].at(y, x);
    for (std::size_t c = 0; c < shape.channels; ++c) {
      const std::size_t index = (c * shape.rows + y) * shape.columns + x;
      at[c] = pixel(frame, index);
      std::memcpy(slot.raw.data() + index * size, frame + index * size, size);
    }
  });
}

void Plan::find_changes(const Slot& slot, const std::uint8_t* frame, const std::uint8_t* changed,
                        Bits& found) {
  const Shape& shape = spec_.frame;
  found.clear();
  if (changed != nullptr) {
    for (std::size_t y = 0; y < shape.rows; ++y) {
      kernels_.differ_bytes(changed + y * shape.columns, zeros_.data(), shape.columns, found.row(y));
    }
    return;
  }
  const std::uint8_t* old = slot.raw.data();
  if (std::memcmp(old, frame, slot.raw.size()) == 0) return;
  const bool near = approximate(0);
  for (std::size_t c = 0; c < shape.channels; ++c) {
    for (std::size_t y = 0; y < shape.rows; ++y) {
      const std::size_t at = (c * shape.rows + y) * shape.columns;
      if (spec_.bytes && !near) {
        kernels_.differ_bytes(old + at, frame + at, shape.columns, found.row(y));
        continue;
      }
      for (std::size_t x = 0; x < shape.columns; ++x) {
        if (spec_.bytes) {
          if (std::abs(int{old[at + x]} - int{frame[at + x]}) > spec_.thresholds[0]) found.set(y, x);
          continue;
        }
        float was, is;
        std::memcpy(&was, old + (at + x) * 4, 4);
        std::memcpy(&is, frame + (at + x) * 4, 4);
        const float most = near ? spec_.thresholds[0] : 0.0F;
        if (!(std::fabs(is - was) <= most)) found.set(y, x);
      }
    }
  }
}

void Plan::first_frame(Slot& slot, const std::uint8_t* frame) {
  if (slot.frames.empty()) slot = empty_slot();
  slot.newest = 0;
  std::copy_n(frame, slot.raw.size(), slot.raw.data());
  for (std::size_t y = 0; y < spec_.frame.rows; ++y) copy_row(frame, y, slot.frames[0].data());
  for (std::size_t lag = 1; lag < spec_.lags; ++lag) {
    slot.frames[lag] = spec_.repeat ? slot.frames[0] : Aligned<float>(slot.frames[0].size(), 0.0F);
  }
  if (spec_.lags == 1) return slot.changes[0].fill();
  // Later frames find the lags as they are now: against what was put before this frame.
  for (Bits& bits : slot.changes) bits.clear();
  if (spec_.repeat) return;
  const Shape& shape = spec_.frame;
  for (std::size_t y = 0; y < shape.rows; ++y) {
    for (std::size_t x = 0; x < shape.columns; ++x) {
      for (std::size_t c = 0; c < shape.channels; ++c) {
        if (pixel(frame, (c * shape.rows + y) * shape.columns + x) != 0) slot.changes[0].set(y, x);
      }
    }
  }
}

void Plan::take_frame(Slot& slot, const std::uint8_t* frame, const std::uint8_t* changed) {
  if (!slot.known) return first_frame(slot, frame);
  const std::size_t before = slot.newest;
  slot.newest = (before + spec_.lags - 1) % spec_.lags;
  Bits& changes = slot.changes[slot.newest];
  float* to = slot.frames[slot.newest].data();
  if (!spec_.reuse) {
    changes.fill();
    for (std::size_t y = 0; y < spec_.frame.rows; ++y) copy_row(frame, y, to);
    return;
  }
  if (spec_.lags > 1) std::copy_n(slot.frames[before].data(), maps_[0].size(), to);
  find_changes(slot, frame, changed, changes);
  const std::size_t number = changes.count();
  if (number == 0) return;
  const bool all = changed == nullptr && !approximate(0);  // the others are what they were
  if (all && number * 8 > changes.rows() * changes.columns()) {
    copy_rows(slot, frame, changes);
  } else {
    copy_pixels(slot, frame, changes);
  }
}

}  // namespace rlcompress::stack
