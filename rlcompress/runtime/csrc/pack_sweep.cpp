#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "pack.h"

namespace rlcompress {
namespace {

constexpr std::uint32_t kMostLanes = 16;

// How many of the taps at hand a step takes, and where each goes.
struct Slots {
  std::uint32_t count;
  std::uint32_t slot[4];
};

// Whether two weights times any two bytes add up to a 16-bit number.
bool fit(const Tap& a, const Tap& b) {
  const float same_sign = a.weight * b.weight > 0 ? std::fabs(a.weight + b.weight) : 0.0F;
  return same_sign <= 128.0F;
}

// Slots 0 and 1 are added in 16 bits, and so are 2 and 3.
Slots paired(const Tap* tap, std::uint32_t found) {
  if (found == 4) {
    if (fit(tap[0], tap[1]) && fit(tap[2], tap[3])) return {4, {0, 1, 2, 3}};
    if (fit(tap[0], tap[2]) && fit(tap[1], tap[3])) return {4, {0, 2, 1, 3}};
    if (fit(tap[0], tap[3]) && fit(tap[1], tap[2])) return {4, {0, 2, 3, 1}};
    found = 3;
  }
  if (found == 3) {
    if (fit(tap[0], tap[1])) return {3, {0, 1, 2, 3}};
    if (fit(tap[0], tap[2])) return {3, {0, 2, 1, 3}};
    if (fit(tap[1], tap[2])) return {3, {0, 2, 3, 1}};
    found = 2;
  }
  return {found, {0, 2, 1, 3}};
}

// The rows of one tile, whose taps are used up from left to right.
class Tile {
 public:
  Tile(const Taps& taps, const std::uint32_t* rows, std::uint32_t lanes) : lanes_(lanes) {
    for (std::uint32_t lane = 0; lane < lanes; ++lane) {
      const std::vector<Tap>& row = taps.row[rows[lane]];
      next_[lane] = row.data();
      end_[lane] = row.data() + row.size();
    }
  }

  // The window of every step: rows that lag behind decide where the next one starts, rows that
  // are ahead find their next columns in it as well. visit(start) for each step, then
  // take(lane, slot, tap) for what each row uses of it.
  template <class Visit, class Take>
  std::size_t sweep(const TableShape& table, Visit visit, Take take) {
    std::size_t steps = 0;
    for (std::uint32_t low = lowest(); low != kNowhere; low = lowest(), ++steps) {
      const std::uint32_t start = low / table.align * table.align;
      visit(start);
      for (std::uint32_t lane = 0; lane < lanes_; ++lane) {
        const Tap* tap = next_[lane];
        std::uint32_t found = 0;
        while (found < table.slots && tap + found != end_[lane] &&
               tap[found].offset - start < table.window) {
          ++found;
        }
        const Slots slots = table.pairs ? paired(tap, found) : Slots{found, {0, 1, 2, 3}};
        for (std::uint32_t i = 0; i < slots.count; ++i) take(lane, slots.slot[i], tap[i]);
        next_[lane] += slots.count;
      }
    }
    return steps;
  }

 private:
  // Smallest offset that is left, or kNowhere.
  std::uint32_t lowest() const {
    std::uint32_t lowest = kNowhere;
    for (std::uint32_t lane = 0; lane < lanes_; ++lane) {
      if (next_[lane] != end_[lane]) lowest = std::min(lowest, next_[lane]->offset);
    }
    return lowest;
  }

  std::uint32_t lanes_;
  const Tap* next_[kMostLanes];
  const Tap* end_[kMostLanes];
};

std::vector<std::uint32_t> numbers(std::uint32_t count) {
  std::vector<std::uint32_t> rows(count);
  std::iota(rows.begin(), rows.end(), 0U);
  return rows;
}

}  // namespace

std::size_t tile_steps(const Taps& taps, const std::uint32_t* rows, const TableShape& table) {
  Tile tile(taps, rows, table.lanes);
  return tile.sweep(
      table, [](std::uint32_t) {}, [](std::uint32_t, std::uint32_t, const Tap&) {});
}

std::size_t sweep_steps(const Taps& taps, const TableShape& table) {
  const std::vector<std::uint32_t> rows = numbers(taps.rows);
  std::size_t steps = 0;
  for (std::uint32_t row = 0; row < taps.rows; row += table.lanes) {
    steps += tile_steps(taps, rows.data() + row, table);
  }
  return steps;
}

void pack_sweep(PackedLinear& packed, const Taps& taps, const TableShape& table) {
  Aligned<std::uint32_t> begin(1, 0);
  Aligned<std::uint32_t> offset;
  Aligned<std::uint8_t> index;
  Aligned<float> floats;
  const std::size_t per_step = std::size_t{table.lanes} * table.slots;
  const std::vector<std::uint32_t> rows = numbers(taps.rows);
  std::size_t first = 0;
  const auto add_step = [&](std::uint32_t start) {
    first = index.size();
    offset.push_back(start);
    index.resize(first + per_step * (packed.integer ? 2 : 1), 0);
    if (!packed.integer) floats.resize(index.size(), 0.0F);
  };
  const auto add_tap = [&](std::uint32_t lane, std::uint32_t slot, const Tap& tap) {
    const std::size_t at =
        first + (packed.integer ? lane * table.slots + slot : slot * table.lanes + lane);
    index[at] = static_cast<std::uint8_t>(tap.offset - offset.back());
    if (packed.integer) {
      index[at + per_step] = static_cast<std::uint8_t>(static_cast<std::int8_t>(tap.weight));
    } else {
      floats[at] = tap.weight;
    }
  };
  for (std::uint32_t row = 0; row < taps.rows; row += table.lanes) {
    Tile(taps, rows.data() + row, table.lanes).sweep(table, add_step, add_tap);
    begin.push_back(static_cast<std::uint32_t>(offset.size()));
  }
  SweepLayer& layer = packed.sweep;
  layer.tiles = taps.rows / table.lanes;
  layer.window = table.window;
  layer.slots = table.slots;
  layer.begin = packed.keep(std::move(begin));
  layer.offset = packed.keep(std::move(offset));
  layer.index = packed.keep(std::move(index));
  layer.weight = packed.keep(std::move(floats));
}

}  // namespace rlcompress
