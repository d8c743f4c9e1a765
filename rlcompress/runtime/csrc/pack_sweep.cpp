#include <algorithm>
#include <utility>

#include "pack.h"

namespace rlcompress {
namespace {

// The rows of one tile, whose taps are used up from left to right.
class Tile {
 public:
  Tile(const Taps& taps, std::uint32_t first, std::uint32_t lanes) : next_(lanes), end_(lanes) {
    for (std::uint32_t lane = 0; lane < lanes; ++lane) {
      const std::vector<Tap>& row = taps.row[first + lane];
      next_[lane] = row.data();
      end_[lane] = row.data() + row.size();
    }
  }

  // Smallest offset that is left, or kNowhere.
  std::uint32_t lowest() const {
    std::uint32_t lowest = kNowhere;
    for (std::size_t lane = 0; lane < next_.size(); ++lane) {
      if (next_[lane] != end_[lane]) lowest = std::min(lowest, next_[lane]->offset);
    }
    return lowest;
  }

  // Hands out what each row can use of a window: visit(lane, slot, tap).
  template <class Visit>
  void take(std::uint32_t start, const TableShape& table, Visit visit) {
    for (std::uint32_t lane = 0; lane < next_.size(); ++lane) {
      for (std::uint32_t slot = 0; slot < table.slots; ++slot, ++next_[lane]) {
        if (next_[lane] == end_[lane] || next_[lane]->offset - start >= table.window) break;
        visit(lane, slot, *next_[lane]);
      }
    }
  }

 private:
  std::vector<const Tap*> next_, end_;
};

// The window of every step of a tile: rows that lag behind decide where the next one starts, rows
// that are ahead find their next columns in it as well.
template <class Visit>
std::size_t each_window(Tile& tile, const TableShape& table, Visit visit) {
  std::size_t steps = 0;
  for (std::uint32_t low = tile.lowest(); low != kNowhere; low = tile.lowest(), ++steps) {
    visit(low / table.align * table.align);
  }
  return steps;
}

}  // namespace

std::size_t sweep_steps(const Taps& taps, const TableShape& table) {
  std::size_t steps = 0;
  for (std::uint32_t row = 0; row < taps.rows; row += table.lanes) {
    Tile tile(taps, row, table.lanes);
    steps += each_window(tile, table, [&](std::uint32_t start) {
      tile.take(start, table, [](std::uint32_t, std::uint32_t, const Tap&) {});
    });
  }
  return steps;
}

void pack_sweep(PackedLinear& packed, const Taps& taps, const TableShape& table) {
  Aligned<std::uint32_t> begin(1, 0);
  Aligned<std::uint32_t> offset;
  Aligned<std::uint8_t> index;
  Aligned<std::int8_t> integers;
  Aligned<float> floats;
  const std::size_t per_step = std::size_t{table.lanes} * table.slots;
  for (std::uint32_t row = 0; row < taps.rows; row += table.lanes) {
    Tile tile(taps, row, table.lanes);
    each_window(tile, table, [&](std::uint32_t start) {
      const std::size_t first = index.size();
      offset.push_back(start);
      index.resize(first + per_step, 0);
      if (packed.integer) integers.resize(first + per_step, 0);
      if (!packed.integer) floats.resize(first + per_step, 0.0F);
      tile.take(start, table, [&](std::uint32_t lane, std::uint32_t slot, const Tap& tap) {
        const std::size_t at = first + lane * table.slots + slot;
        index[at] = static_cast<std::uint8_t>(tap.offset - start);
        if (packed.integer) integers[at] = static_cast<std::int8_t>(tap.weight);
        if (!packed.integer) floats[at] = tap.weight;
      });
    });
    begin.push_back(static_cast<std::uint32_t>(offset.size()));
  }
  SweepLayer& layer = packed.sweep;
  layer.tiles = taps.rows / table.lanes;
  layer.window = table.window;
  layer.one_window = std::all_of(offset.begin(), offset.end(), [](auto o) { return o == 0; });
  layer.begin = packed.keep(std::move(begin));
  layer.offset = packed.keep(std::move(offset));
  layer.index = packed.keep(std::move(index));
  layer.integer_weight = packed.keep(std::move(integers));
  layer.weight = packed.keep(std::move(floats));
}

}  // namespace rlcompress
