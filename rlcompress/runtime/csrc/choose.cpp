#include "choose.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "order.h"

namespace rlcompress {
namespace {

constexpr double kExactInFloat = 16777216.0;  // 2^24

// Whether every partial sum of a row is an integer that float32 holds.
bool sums_fit_float(const Taps& taps, float reach) {
  for (const std::vector<Tap>& row : taps.row) {
    double total = 0;
    for (const Tap& tap : row) total += std::fabs(tap.weight);
    if (total * reach >= kExactInFloat) return false;
  }
  return true;
}

// The table with which a sweep over these taps is fastest.
const TableShape& best_table(const Op& op, const Taps& taps, const KernelTable& kernels) {
  if (!op.linear.integer) return kernels.float_table;
  const TableShape* best = nullptr;
  double least = 0;
  for (const TableShape& table : kernels.byte_tables) {
    if (table.lanes == 0) continue;
    const float cost = op.tag == OpTag::Conv ? table.shared_cost : table.step_cost;
    const double total = static_cast<double>(sweep_steps(taps, table)) * static_cast<double>(cost);
    if (best == nullptr || total < least) {
      best = &table;
      least = total;
    }
  }
  return *best;
}

Packing choose(const Op& op, const Taps& taps, const KernelTable& kernels) {
  const double density = static_cast<double>(taps.stored) /
                         (static_cast<double>(taps.rows) * static_cast<double>(taps.column.size()));
  if (op.tag == OpTag::Conv) {
    if (!op.linear.integer) return Packing::Planes;
    if (kernels.planes_for_bytes) {
      return sums_fit_float(taps, 255.0F) ? Packing::Planes : Packing::Blocks;
    }
    return density < 0.5 ? Packing::Sweep : Packing::Blocks;
  }
  if (op.linear.integer) {
    if (kernels.byte_tables[0].lanes > 0) return density < 0.4 ? Packing::Sweep : Packing::Blocks;
    return density < 0.3 ? Packing::Rows : Packing::Blocks;
  }
  if (kernels.float_table.lanes > 0 && density < 0.5) return Packing::Sweep;
  return density < 0.2 ? Packing::Rows : Packing::Columns;
}

}  // namespace

PackedLinear pack_linear(const Op& op, const Storage& input, Storage& output,
                         const KernelTable& kernels) {
  PackedLinear packed;
  Taps taps = make_taps(op, input);
  std::vector<std::uint32_t> from(op.linear.rows);
  std::iota(from.begin(), from.end(), 0U);
  packed.packing = choose(op, taps, kernels);
  if (output.free_order && packed.packing == Packing::Sweep) {
    from = order_rows(taps, op.linear.rows, best_table(op, taps, kernels));
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
      pack_sweep(packed, taps, best_table(op, taps, kernels));
      break;
  }
  const bool multiplies_zeros =
      packed.packing == Packing::Columns || packed.packing == Packing::Sweep;
  if (!packed.integer && multiplies_zeros) pack_rows(packed, taps);
  return packed;
}

}  // namespace rlcompress
