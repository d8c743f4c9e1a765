// Where every value of a program lies in memory; decides nothing about how layers are computed.
//
// A value is (height, width, channels) with channels contiguous, one byte per quantised element
// (signed ones shifted by 128) and a float otherwise. A border wide enough for every convolution
// that reads the value surrounds it and holds zeros, so no kernel tests for edges. A layer may put
// its channels in an order of its own, which its readers undo when their weights are packed.
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
  std::uint32_t pixel = 0;  // elements from one position to the next
  std::uint32_t row = 0;  // elements from one row to the next
  std::size_t first = 0;  // elements before position (0, 0)
  std::size_t elements = 0;  // border included
  std::size_t offset = 0;  // bytes from the start of a sample's memory
  bool free_order = false;  // whether the layer that writes it may choose `order`
  std::vector<std::uint32_t> order;  // place of each channel

  std::size_t element_size() const { return quantised ? 1 : 4; }
  std::size_t position(std::size_t y, std::size_t x) const { return first + y * row + x * pixel; }
  // Element that holds number `index` of the value read as one axis.
  std::size_t flat(std::size_t index) const;
};

struct Layout {
  std::vector<std::size_t> storage_of;  // value -> storage (a flatten shares its input's)
  std::vector<Storage> storages;
  std::size_t bytes = 0;  // of one sample; a multiple of kAlignment

  const Storage& of(std::size_t value) const { return storages[storage_of[value]]; }
  Storage& of(std::size_t value) { return storages[storage_of[value]]; }
};

// Bytes that kernels may read (never use) beyond the end of a value.
constexpr std::size_t kOverread = 192;
// Channels are filled up to a multiple of this.
constexpr std::size_t kChannelStep = 16;

Layout make_layout(const Program& program);

}  // namespace rlcompress
