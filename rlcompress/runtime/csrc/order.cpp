#include "order.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "pack.h"

namespace rlcompress {
namespace {

// Bounds of the search: exchanges tried, and weights looked at (a few hundredths of a second).
constexpr std::size_t kMostTries = 8000;
constexpr std::size_t kMostTaps = std::size_t{1} << 24;

class Random {
 public:
  std::uint32_t below(std::uint32_t limit) {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<std::uint32_t>((state_ >> 33) % limit);
  }

 private:
  std::uint64_t state_ = 1;
};

// Exchanges rows of different tiles wherever that takes no more steps.
void exchange(const Taps& taps, const TableShape& table, std::vector<std::uint32_t>& rows) {
  const auto count = static_cast<std::uint32_t>(rows.size());
  const auto steps_of = [&](std::uint32_t tile) {
    return tile_steps(taps, rows.data() + std::size_t{tile} * table.lanes, table);
  };
  std::vector<std::size_t> steps(count / table.lanes);
  for (std::uint32_t tile = 0; tile < steps.size(); ++tile) steps[tile] = steps_of(tile);
  Random random;
  const std::size_t per_try = 2 * (taps.stored / steps.size() + table.lanes);
  const std::size_t tries = std::min(kMostTries, kMostTaps / per_try);
  for (std::size_t i = 0; i < tries; ++i) {
    const std::uint32_t a = random.below(count);
    const std::uint32_t b = random.below(count);
    const std::uint32_t tile_a = a / table.lanes;
    const std::uint32_t tile_b = b / table.lanes;
    if (tile_a == tile_b) continue;
    std::swap(rows[a], rows[b]);
    const std::size_t steps_a = steps_of(tile_a);
    const std::size_t steps_b = steps_of(tile_b);
    if (steps_a + steps_b > steps[tile_a] + steps[tile_b]) {
      std::swap(rows[a], rows[b]);
      continue;
    }
    steps[tile_a] = steps_a;
    steps[tile_b] = steps_b;
  }
}

}  // namespace

std::vector<std::uint32_t> order_rows(const Taps& taps, std::uint32_t rows,
                                      const TableShape& table) {
  // Rows with about as many weights share a tile.
  std::vector<std::uint32_t> order(taps.rows);
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return taps.row[a].size() > taps.row[b].size();
  });
  if (taps.rows > table.lanes) exchange(taps, table, order);
  // Rows that only fill up the last tile go where they do no harm: to the end.
  order.erase(std::remove_if(order.begin(), order.end(), [&](auto row) { return row >= rows; }),
              order.end());
  return order;
}

}  // namespace rlcompress
