#include "change_map.h"

#include <algorithm>

namespace rlcompress {
namespace {

// Whether any of the bits `first` .. `last` - 1 is set.
bool any_bit(const std::uint64_t* bits, std::uint32_t first, std::uint32_t last) {
  while (first < last) {
    const std::uint32_t within = first % 64;
    const std::uint32_t count = std::min(64 - within, last - first);
    const std::uint64_t mask = count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
    if ((bits[first / 64] >> within & mask) != 0) return true;
    first += count;
  }
  return false;
}

struct Range {
  std::uint32_t first;
  std::uint32_t last;  // exclusive
};

// Inputs of output `index` along one axis, without the border.
Range inputs_of(std::uint32_t index, const Window& window, int axis, std::uint32_t size) {
  const std::uint64_t start = std::uint64_t{index} * window.stride[axis];
  const std::uint64_t stop = start + window.kernel[axis];
  const std::uint64_t padding = window.padding[axis];
  const auto inside = [&](std::uint64_t at) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(at > padding ? at - padding : 0, size));
  };
  return {inside(start), inside(stop)};
}

}  // namespace

void ChangeMap::clear() {
  if (some_) std::fill(bits_.begin(), bits_.end(), std::uint64_t{0});
  some_ = false;
  all_ = false;
}

bool ChangeMap::add_row(std::uint32_t y, const std::uint64_t* bits) {
  std::uint64_t any = 0;
  std::uint64_t* row = bits_.data() + y * std::size_t{words_};
  for (std::uint32_t w = 0; w < words_; ++w) {
    row[w] |= bits[w];
    any |= bits[w];
  }
  some_ = some_ || any != 0;
  return any != 0;
}

bool ChangeMap::row_changed(std::uint32_t y) const {
  return all_ || std::any_of(row(y), row(y) + words_, [](std::uint64_t word) { return word != 0; });
}

void ChangeMap::add(const ChangeMap& other) {
  all_ = all_ || other.all_;
  if (other.all_ || !other.some_) return;
  for (std::uint32_t y = 0; y < height_; ++y) add_row(y, other.row(y));
}

std::size_t affected(const ChangeMap& changes, const Window& window, const Shape& output,
                     std::uint64_t* columns, std::uint32_t* list) {
  std::size_t count = 0;
  for (std::uint32_t y = 0; y < output.height; ++y) {
    const Range rows = inputs_of(y, window, 0, changes.height());
    std::fill(columns, columns + changes.words(), std::uint64_t{0});
    std::uint64_t any = 0;
    for (std::uint32_t row = rows.first; row < rows.last; ++row) {
      const std::uint64_t* bits = changes.row(row);
      for (std::uint32_t w = 0; w < changes.words(); ++w) {
        columns[w] |= bits[w];
        any |= bits[w];
      }
    }
    if (any == 0) continue;
    for (std::uint32_t x = 0; x < output.width; ++x) {
      const Range range = inputs_of(x, window, 1, changes.width());
      if (any_bit(columns, range.first, range.last)) list[count++] = y * output.width + x;
    }
  }
  return count;
}

}  // namespace rlcompress
