#include "choose.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "order.h"

namespace rlcompress {
namespace {

constexpr double kExactInFloat = 16777216.0;  // 2^24
// Cycles, roughly: of a weight met by one lane of planes, and of turning a sum into an output.
constexpr double kPlaneCost = 0.4;
constexpr double kFinishCost = 0.3;
// Layers that do not stay in the second-level cache arrive at so many bytes per cycle.
constexpr double kCacheBytes = 768 * 1024;
constexpr double kBytesPerCycle = 26;

// Whether every partial sum of a row is an integer that float32 holds.
bool sums_fit_float(const Taps& taps, float reach) {
  for (const std::vector<Tap>& row : taps.row) {
    double total = 0;
    for (const Tap& tap : row) total += std::fabs(tap.weight);
    if (total * reach >= kExactInFloat) return false;
  }
  return true;
}

struct Choice {
  Packing packing = Packing::Rows;
  const TableShape* table = nullptr;  // of a sweep
  double cycles = 0;

  void offer(Packing other, double cost, const TableShape* with = nullptr) {
    if (cycles == 0 || cost < cycles) *this = {other, with, cost};
  }
};

// Cycles of a layer that is read once, from memory if it is large.
double read_once(double cycles, double bytes) {
  return bytes > kCacheBytes ? std::max(cycles, bytes / kBytesPerCycle) : cycles;
}

double padded_columns(const Taps& taps) {
  double columns = 0;
  for (const Segment& segment : taps.segments) columns += segment.size;
  return columns;
}

Choice choose_integer(const Op& op, const Taps& taps, const KernelTable& kernels) {
  const bool conv = op.tag == OpTag::Conv;
  Choice choice;
  if (conv && kernels.planes_for_bytes && sums_fit_float(taps, 255.0F)) {
    choice.offer(Packing::Planes, kPlaneCost * static_cast<double>(taps.stored + taps.rows));
    return choice;
  }
  const Costs& costs = kernels.costs;
  choice.offer(Packing::Rows, static_cast<double>(taps.stored) * costs.tap + 2.0 * taps.rows);
  const double blocks = padded_columns(taps) * taps.rows / 64.0;
  choice.offer(Packing::Blocks, conv ? blocks * costs.shared_block
                                     : read_once(blocks * costs.block, blocks * 64));
  for (const TableShape& table : kernels.byte_tables) {
    if (table.lanes == 0) continue;
    const auto steps = static_cast<double>(sweep_steps(taps, table));
    const double step_bytes = 2.0 * table.lanes * table.slots + 4;
    const double cost = conv ? steps * table.shared_cost
                             : read_once(steps * table.step_cost, steps * step_bytes);
    choice.offer(Packing::Sweep, cost, &table);
  }
  return choice;
}

Choice choose_float(const Op& op, const Taps& taps, const KernelTable& kernels) {
  Choice choice;
  if (op.tag == OpTag::Conv) {
    choice.offer(Packing::Planes, kPlaneCost * static_cast<double>(taps.stored + taps.rows));
    return choice;
  }
  const Costs& costs = kernels.costs;
  choice.offer(Packing::Rows, static_cast<double>(taps.stored) * costs.tap + 2.0 * taps.rows);
  choice.offer(Packing::Columns, static_cast<double>(taps.column.size()) * taps.rows / 16.0 *
                                     static_cast<double>(costs.column));
  for (const TableShape& table : kernels.float_tables) {
    if (table.lanes == 0) continue;
    const auto steps = static_cast<double>(sweep_steps(taps, table));
    choice.offer(Packing::Sweep, steps * static_cast<double>(table.step_cost), &table);
  }
  return choice;
}

}  // namespace

PackedLinear pack_linear(const Op& op, const Storage& input, Storage& output,
                         const KernelTable& kernels) {
  PackedLinear packed;
  Taps taps = make_taps(op, input);
  std::vector<std::uint32_t> from(op.linear.rows);
  std::iota(from.begin(), from.end(), 0U);
  const Choice choice = op.linear.integer ? choose_integer(op, taps, kernels)
                                          : choose_float(op, taps, kernels);
  packed.packing = choice.packing;
  packed.cycles = choice.cycles + kFinishCost * taps.rows;
  if (output.free_order && packed.packing == Packing::Sweep) {
    from = order_rows(taps, op.linear.rows, *choice.table);
    reorder_rows(taps, from);
    for (std::uint32_t place = 0; place < from.size(); ++place) output.order[from[place]] = place;
  }
  pack_epilogue(packed, op, input, from);
  switch (packed.packing) {
    case Packing::Rows:
      pack_rows(packed, taps);
      break;
    case Packing::Blocks:
      pack_blocks(packed, taps);
      break;
    case Packing::Columns:
      pack_columns(packed, taps);
      break;
    case Packing::Planes:
      pack_planes(packed, taps, op, input, output);
      break;
    case Packing::Sweep:
      pack_sweep(packed, taps, *choice.table);
      break;
  }
  const bool multiplies_zeros =
      packed.packing == Packing::Columns || packed.packing == Packing::Sweep;
  if (!packed.integer && multiplies_zeros) pack_rows(packed, taps);
  return packed;
}

}  // namespace rlcompress
