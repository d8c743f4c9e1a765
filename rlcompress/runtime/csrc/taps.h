// A layer's weights as addresses: which element of its input each weight meets. The common form
// from which every packing starts; knows no kernel.
#pragma once

#include <cstdint>
#include <vector>

#include "layout.h"

namespace rlcompress {

struct Tap {
  std::uint32_t offset;  // element of the input, from the start of the window
  float weight;
};

// Elements of the input that lie side by side.
struct Segment {
  std::uint32_t offset;
  std::uint32_t size;
};

struct Taps {
  std::uint32_t rows = 0;  // filled up to kChannelStep with empty ones
  std::vector<std::vector<Tap>> row;  // zeros left out; integers by offset, floats by column
  std::vector<std::uint32_t> column;  // offset of every column, stored or not
  std::vector<Segment> segments;  // the window
  std::size_t stored = 0;
};

Taps make_taps(const Op& op, const Storage& input);

// Row `from[place]` at each place; places beyond `from` are empty rows.
void reorder_rows(Taps& taps, const std::vector<std::uint32_t>& from);

}  // namespace rlcompress
