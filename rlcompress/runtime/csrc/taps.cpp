#include "taps.h"

#include <algorithm>
#include <utility>

#include "aligned.h"

namespace rlcompress {
namespace {

void dense_window(const Op& op, const Storage& input, Taps& taps) {
  taps.column.resize(op.linear.columns);
  for (std::size_t i = 0; i < taps.column.size(); ++i) {
    taps.column[i] = static_cast<std::uint32_t>(input.flat(i));
  }
  for (std::uint32_t y = 0; y < input.shape.height; ++y) {
    taps.segments.push_back({static_cast<std::uint32_t>(input.position(y, 0)),
                             input.shape.width * input.pixel});
  }
}

void conv_window(const Op& op, const Storage& input, Taps& taps) {
  const std::uint32_t* kernel = op.window.kernel;
  taps.column.reserve(op.linear.columns);
  for (std::uint32_t y = 0; y < kernel[0]; ++y) {
    for (std::uint32_t x = 0; x < kernel[1]; ++x) {
      for (std::uint32_t c = 0; c < input.shape.channels; ++c) {
        taps.column.push_back(static_cast<std::uint32_t>(input.padded(y, x)) + input.order[c]);
      }
    }
  }
  const std::uint32_t cells = (kernel[1] + input.cell[1] - 1) / input.cell[1];
  for (std::uint32_t y = 0; y < kernel[0]; y += input.cell[0]) {
    taps.segments.push_back({y / input.cell[0] * input.row, cells * input.step});
  }
}

}  // namespace

Taps make_taps(const Op& op, const Storage& input) {
  Taps taps;
  if (op.tag == OpTag::Conv) {
    conv_window(op, input, taps);
  } else {
    dense_window(op, input, taps);
  }
  const LinearWeights& linear = op.linear;
  taps.rows = static_cast<std::uint32_t>(round_up(linear.rows, kChannelStep));
  taps.row.resize(taps.rows);
  for (std::uint32_t r = 0; r < linear.rows; ++r) {
    const float* weight = linear.weight.data() + r * linear.columns;
    for (std::size_t i = 0; i < linear.columns; ++i) {
      if (weight[i] != 0) taps.row[r].push_back({taps.column[i], weight[i]});
    }
    taps.stored += taps.row[r].size();
    if (linear.integer) {  // exact in any order; packing likes addresses that ascend
      std::sort(taps.row[r].begin(), taps.row[r].end(),
                [](const Tap& a, const Tap& b) { return a.offset < b.offset; });
    }
  }
  return taps;
}

void reorder_rows(Taps& taps, const std::vector<std::uint32_t>& from) {
  std::vector<std::vector<Tap>> rows(taps.rows);
  for (std::size_t place = 0; place < from.size(); ++place) {
    rows[place] = std::move(taps.row[from[place]]);
  }
  taps.row = std::move(rows);
}

}  // namespace rlcompress
