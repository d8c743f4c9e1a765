#include "choose.h"

#include <algorithm>
#include <cmath>
#include <numeric>

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

Packing choose(const Op& op, const Taps& taps, const KernelTable& kernels) {
  (void)kernels;
  if (op.tag == OpTag::Conv) {
    if (!op.linear.integer) return Packing::Planes;
    return sums_fit_float(taps, 255.0F) ? Packing::Planes : Packing::Blocks;
  }
  const double density = static_cast<double>(taps.stored) /
                         (static_cast<double>(taps.rows) * static_cast<double>(taps.column.size()));
  if (op.linear.integer) return density < 0.3 ? Packing::Rows : Packing::Blocks;
  return density < 0.2 ? Packing::Rows : Packing::Columns;
}

}  // namespace

PackedLinear pack_linear(const Op& op, const Storage& input, Storage& output,
                         const KernelTable& kernels) {
  PackedLinear packed;
  const Taps taps = make_taps(op, input);
  std::vector<std::uint32_t> from(op.linear.rows);
  std::iota(from.begin(), from.end(), 0U);
  packed.packing = choose(op, taps, kernels);
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
      pack_rows(packed, taps);
      packed.exact_rows = true;
      break;
    case Packing::Planes:
      pack_planes(packed, taps, op, input, output);
      break;
    case Packing::Sweep:
    case Packing::Windows:
      break;
  }
  return packed;
}

}  // namespace rlcompress
