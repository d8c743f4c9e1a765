#include <algorithm>
#include <utility>

#include "pack.h"

namespace rlcompress {
namespace {

// The taps of one tile's rows, consumed from left to right.
class TileTaps {
 public:
  TileTaps(const Taps& taps, std::uint32_t first, std::uint32_t lanes)
      : taps_(&taps), first_(first), next_(lanes, 0) {}

  const Tap* peek(std::uint32_t lane) const {
    const std::vector<Tap>& row = taps_->row[first_ + lane];
    return next_[lane] < row.size() ? &row[next_[lane]] : nullptr;
  }
  void take(std::uint32_t lane) { ++next_[lane]; }

  // Smallest offset that is left, or kNowhere.
  std::uint32_t lowest() const {
    std::uint32_t lowest = kNowhere;
    for (std::uint32_t lane = 0; lane < next_.size(); ++lane) {
      if (const Tap* tap = peek(lane)) lowest = std::min(lowest, tap->offset);
    }
    return lowest;
  }

 private:
  const Taps* taps_;
  std::uint32_t first_;
  std::vector<std::size_t> next_;
};

}  // namespace

void pack_sweep(PackedLinear& packed, const Taps& taps, const TableShape& table) {
  Aligned<std::uint32_t> begin(1, 0);
  Aligned<std::uint32_t> offset;
  Aligned<std::uint8_t> index;
  Aligned<std::int8_t> integers;
  Aligned<float> floats;
  const std::size_t per_step = std::size_t{table.lanes} * table.slots;
  for (std::uint32_t row = 0; row < taps.rows; row += table.lanes) {
    TileTaps tile(taps, row, table.lanes);
    for (std::uint32_t low = tile.lowest(); low != kNowhere; low = tile.lowest()) {
      // Each row takes what it can of the window; rows that lag behind decide where the next starts.
      const std::uint32_t start = low / table.align * table.align;
      const std::size_t at = index.size();
      offset.push_back(start);
      index.resize(at + per_step, 0);
      if (packed.integer) {
        integers.resize(at + per_step, 0);
      } else {
        floats.resize(at + per_step, 0.0F);
      }
      for (std::uint32_t lane = 0; lane < table.lanes; ++lane) {
        for (std::uint32_t slot = 0; slot < table.slots; ++slot) {
          const Tap* tap = tile.peek(lane);
          if (tap == nullptr || tap->offset - start >= table.window) break;
          const std::size_t place = at + lane * table.slots + slot;
          index[place] = static_cast<std::uint8_t>(tap->offset - start);
          if (packed.integer) {
            integers[place] = static_cast<std::int8_t>(tap->weight);
          } else {
            floats[place] = tap->weight;
          }
          tile.take(lane);
        }
      }
    }
    begin.push_back(static_cast<std::uint32_t>(offset.size()));
  }
  SweepLayer& layer = packed.sweep;
  layer.tiles = taps.rows / table.lanes;
  layer.one_window = std::all_of(offset.begin(), offset.end(), [](auto o) { return o == 0; });
  layer.begin = packed.keep(std::move(begin));
  layer.offset = packed.keep(std::move(offset));
  layer.index = packed.keep(std::move(index));
  layer.weight = packed.integer ? static_cast<const void*>(packed.keep(std::move(integers)))
                                : static_cast<const void*>(packed.keep(std::move(floats)));
}

}  // namespace rlcompress
