// Where every value of a program lies in memory; decides nothing about how layers are computed.
//
// A value is (height, width, channels) with channels contiguous, one byte per quantised element
// (signed ones shifted by 128) and a float otherwise. A border wide enough for every convolution
// that reads the value surrounds it and holds zeros, so no kernel tests for edges. A layer may put
// its channels in an order of its own, which its readers undo when their weights are packed.
//
// Where the only reader is a convolution with a stride, positions lie in cells of that stride, so
// that its windows are few long runs of bytes: 8 x 8 windows of stride 4 become 2 x 2 cells.
#pragma once

#include <cstdint>
#include <vector>

#include "program.h"

namespace rlcompress {

struct Storage {
  Shape shape;
  bool quantised = false;
  std::uint8_t zero = 0;  // the byte that stands for 0
  std::uint32_t border[2] = {0, 0};
  std::uint32_t cell[2] = {1, 1};  // positions of a cell, vertically and horizontally
  std::uint32_t pixel = 0;  // elements of one position
  std::uint32_t step = 0;  // elements from one cell to the next
  std::uint32_t row = 0;  // elements from one row of cells to the next
  std::size_t elements = 0;  // border included
  std::size_t offset = 0;  // bytes from the start of a sample's memory
  bool free_order = false;  // whether the layer that writes it may choose `order`
  std::vector<std::uint32_t> order;  // place of each channel

  std::size_t element_size() const { return quantised ? 1 : 4; }
  bool in_cells() const { return cell[0] * cell[1] > 1; }
  // Position counted from the corner of the border.
  std::size_t padded(std::size_t y, std::size_t x) const {
    return y / cell[0] * row + x / cell[1] * step + (y % cell[0] * cell[1] + x % cell[1]) * pixel;
  }
  std::size_t position(std::size_t y, std::size_t x) const {
    return padded(y + border[0], x + border[1]);
  }
  // Element that holds number `index` of the value read as one axis.
  std::size_t flat(std::size_t index) const;
};

struct Layout {
  std::vector<std::size_t> storage_of;  // value -> storage (a flatten may share its input's)
  std::vector<Storage> storages;
  std::size_t bytes = 0;  // of one sample; a multiple of kAlignment

  const Storage& of(std::size_t value) const { return storages[storage_of[value]]; }
  Storage& of(std::size_t value) { return storages[storage_of[value]]; }
  // Whether op number `index` is a flatten that copies nothing.
  bool is_alias(const Op& op, std::size_t index) const {
    return op.tag == OpTag::Flatten && storage_of[index + 1] == storage_of[op.inputs[0]];
  }
};

// Bytes that kernels may read (never use) beyond the end of a value.
constexpr std::size_t kOverread = 192;
// Channels are filled up to a multiple of this.
constexpr std::size_t kChannelStep = 16;

// `cells`: whether layers are packed in a way that gains from them.
Layout make_layout(const Program& program, bool cells);

}  // namespace rlcompress
