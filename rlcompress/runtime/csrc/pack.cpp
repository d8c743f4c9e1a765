#include "pack.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace rlcompress {

template <>
const std::uint8_t* PackedLinear::keep(Aligned<std::uint8_t> values) {
  return bytes_.emplace_back(std::move(values)).data();
}
template <>
const std::int8_t* PackedLinear::keep(Aligned<std::int8_t> values) {
  return integers_.emplace_back(std::move(values)).data();
}
template <>
const std::int32_t* PackedLinear::keep(Aligned<std::int32_t> values) {
  return words_.emplace_back(std::move(values)).data();
}
template <>
const std::uint32_t* PackedLinear::keep(Aligned<std::uint32_t> values) {
  return indices_.emplace_back(std::move(values)).data();
}
template <>
const float* PackedLinear::keep(Aligned<float> values) {
  return floats_.emplace_back(std::move(values)).data();
}

namespace {

// The bias for inputs that are `zero` where the value is 0; modulo 2^32, as accumulators are.
Aligned<std::int32_t> shifted_bias(const LinearWeights& linear, int zero,
                                   const std::vector<std::uint32_t>& from, std::size_t rows) {
  Aligned<std::int32_t> bias(rows, 0);
  for (std::size_t place = 0; place < from.size(); ++place) {
    const float* weight = linear.weight.data() + from[place] * linear.columns;
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < linear.columns; ++i) sum += static_cast<std::int64_t>(weight[i]);
    const std::int64_t shifted = linear.integer_bias[from[place]] - zero * sum;
    bias[place] = static_cast<std::int32_t>(static_cast<std::uint32_t>(shifted));
  }
  return bias;
}

// Whether every int32 accumulator times its multiplier is well within int32.
bool scaled_sums_fit(const LinearWeights& linear) {
  for (std::uint32_t row = 0; row < linear.rows; ++row) {
    double reach = std::fabs(static_cast<double>(linear.integer_bias[row]));
    const float* weight = linear.weight.data() + row * linear.columns;
    for (std::size_t i = 0; i < linear.columns; ++i) reach += 255.0 * std::fabs(weight[i]);
    if (reach * std::fabs(linear.multiplier[row]) > 1e9) return false;
  }
  return true;
}

}  // namespace

void pack_epilogue(PackedLinear& packed, const Op& op, const Storage& input,
                   const std::vector<std::uint32_t>& from) {
  const LinearWeights& linear = op.linear;
  const std::size_t rows = round_up(linear.rows, kChannelStep);
  Epilogue& e = packed.epilogue;
  packed.integer = linear.integer;
  Aligned<float> multiplier(rows, 0.0F);
  for (std::size_t place = 0; place < from.size(); ++place) {
    multiplier[place] = linear.multiplier[from[place]];
  }
  e.multiplier = packed.keep(std::move(multiplier));
  if (linear.integer) {
    // Planes are shifted as they are filled, every other kernel sees the bytes as they lie.
    const int zero = packed.packing == Packing::Planes ? 0 : input.zero;
    e.integer_bias = packed.keep(shifted_bias(linear, zero, from, rows));
    e.shifted_bias = packed.keep(shifted_bias(linear, input.zero - 128, from, rows));
  } else {
    Aligned<float> bias(rows, 0.0F);
    for (std::size_t place = 0; place < from.size(); ++place) {
      bias[place] = linear.bias[from[place]];
    }
    e.bias = packed.keep(std::move(bias));
  }
  e.function = op.function;
  e.bound = op.bound;
  e.quantised = op.output.quantised();
  if (e.quantised) {
    e.low = static_cast<float>(op.output.lowest());
    e.high = static_cast<float>(op.output.highest());
    e.zero = op.output.zero_byte();
    e.inverse_scale = op.output.inverse_scale();
    e.direct =
        linear.integer && (op.function == Function::None || op.function == Function::Relu);
    e.bounded = e.direct && scaled_sums_fit(linear);
  }
}

void pack_rows(PackedLinear& packed, const Taps& taps) {
  Aligned<std::uint32_t> begin(1, 0);
  Aligned<std::uint32_t> offset;
  Aligned<std::int8_t> integers;
  Aligned<float> floats;
  for (const std::vector<Tap>& row : taps.row) {
    for (const Tap& tap : row) {
      offset.push_back(tap.offset);
      if (packed.integer) {
        integers.push_back(static_cast<std::int8_t>(tap.weight));
      } else {
        floats.push_back(tap.weight);
      }
    }
    begin.push_back(static_cast<std::uint32_t>(offset.size()));
  }
  packed.rows.rows = taps.rows;
  packed.rows.begin = packed.keep(std::move(begin));
  packed.rows.offset = packed.keep(std::move(offset));
  packed.rows.integer_weight = packed.keep(std::move(integers));
  packed.rows.weight = packed.keep(std::move(floats));
}

void pack_blocks(PackedLinear& packed, const Taps& taps) {
  // Blocks that hold a weight, by the offset of their first column.
  std::vector<std::uint32_t> starts;
  std::vector<std::size_t> first_block;
  for (const Segment& segment : taps.segments) {
    first_block.push_back(starts.size());
    for (std::uint32_t i = 0; i < segment.size; i += 4) starts.push_back(segment.offset + i);
  }
  const auto block_of = [&](std::uint32_t offset) {
    std::size_t s = taps.segments.size() - 1;
    while (taps.segments[s].offset > offset) --s;
    return first_block[s] + (offset - taps.segments[s].offset) / 4;
  };
  std::vector<std::uint32_t> place(starts.size(), 0);
  for (const std::vector<Tap>& row : taps.row) {
    for (const Tap& tap : row) place[block_of(tap.offset)] = 1;
  }
  Aligned<std::uint32_t> offset;
  for (std::size_t b = 0; b < starts.size(); ++b) {
    if (place[b] == 0) continue;
    place[b] = static_cast<std::uint32_t>(offset.size());
    offset.push_back(starts[b]);
  }
  packed.blocks.tiles = taps.rows / 16;
  packed.blocks.blocks = static_cast<std::uint32_t>(offset.size());
  Aligned<std::int8_t> weight(std::size_t{taps.rows} * offset.size() * 4, 0);
  for (std::uint32_t r = 0; r < taps.rows; ++r) {
    for (const Tap& tap : taps.row[r]) {
      const std::size_t b = place[block_of(tap.offset)];
      const std::size_t at = ((r / 16 * offset.size() + b) * 16 + r % 16) * 4;
      weight[at + (tap.offset - offset[b])] = static_cast<std::int8_t>(tap.weight);
    }
  }
  packed.blocks.offset = packed.keep(std::move(offset));
  packed.blocks.weight = packed.keep(std::move(weight));
}

void pack_columns(PackedLinear& packed, const Taps& taps) {
  // Columns nobody reads are left out; the order of the others stays.
  std::vector<std::uint32_t> sorted = taps.column;
  std::sort(sorted.begin(), sorted.end());
  const auto rank = [&](std::uint32_t offset) {
    return static_cast<std::size_t>(std::lower_bound(sorted.begin(), sorted.end(), offset) -
                                    sorted.begin());
  };
  std::vector<bool> read(sorted.size(), false);
  for (const std::vector<Tap>& row : taps.row) {
    for (const Tap& tap : row) read[rank(tap.offset)] = true;
  }
  std::vector<std::size_t> place(sorted.size(), 0);
  Aligned<std::uint32_t> offset;
  for (const std::uint32_t column : taps.column) {
    if (!read[rank(column)]) continue;
    place[rank(column)] = offset.size();
    offset.push_back(column);
  }
  Aligned<float> weight(offset.size() * taps.rows, 0.0F);
  for (std::uint32_t r = 0; r < taps.rows; ++r) {
    for (const Tap& tap : taps.row[r]) weight[place[rank(tap.offset)] * taps.rows + r] = tap.weight;
  }
  packed.columns.rows = taps.rows;
  packed.columns.columns = static_cast<std::uint32_t>(offset.size());
  packed.columns.offset = packed.keep(std::move(offset));
  packed.columns.weight = packed.keep(std::move(weight));
}

}  // namespace rlcompress
