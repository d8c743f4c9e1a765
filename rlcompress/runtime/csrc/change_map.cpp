#include "change_map.h"

#include <algorithm>

namespace rlcompress {
namespace {

struct Range {
  std::uint32_t first;
  std::uint32_t last;  // exclusive
};

// Input rows of output row `index`, without the border.
Range rows_of(std::uint32_t index, const Window& window, std::uint32_t size) {
  const std::uint64_t start = std::uint64_t{index} * window.stride[0];
  const std::uint64_t stop = start + window.kernel[0];
  const std::uint64_t padding = window.padding[0];
  const auto inside = [&](std::uint64_t at) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(at > padding ? at - padding : 0, size));
  };
  return {inside(start), inside(stop)};
}

// bits |= bits shifted down by `distance`: bit i also says whether bit i + distance is set.
void spread(std::uint64_t* bits, std::uint32_t words, std::uint32_t distance) {
  const std::uint32_t skip = distance / 64;
  const std::uint32_t shift = distance % 64;
  for (std::uint32_t w = 0; w + skip < words; ++w) {
    std::uint64_t found = bits[w + skip] >> shift;
    if (shift != 0 && w + skip + 1 < words) found |= bits[w + skip + 1] << (64 - shift);
    bits[w] |= found;
  }
}

// Bit i then says whether one of the bits i .. i + count - 1 is set.
void spread_all(std::uint64_t* bits, std::uint32_t words, std::uint32_t count) {
  std::uint32_t covered = 1;
  while (covered < count) {
    const std::uint32_t distance = std::min(covered, count - covered);
    spread(bits, words, distance);
    covered += distance;
  }
}

// Adds a row's bits, moved up by `distance`.
std::uint64_t add_moved(const std::uint64_t* row, std::uint32_t words, std::uint32_t distance,
                        std::uint64_t* bits) {
  const std::uint32_t skip = distance / 64;
  const std::uint32_t shift = distance % 64;
  std::uint64_t any = 0;
  for (std::uint32_t w = 0; w < words; ++w) {
    any |= row[w];
    bits[w + skip] |= row[w] << shift;
    if (shift != 0) bits[w + skip + 1] |= row[w] >> (64 - shift);
  }
  return any;
}

// The even bits of a word, side by side.
std::uint64_t even_bits(std::uint64_t bits) {
  bits &= 0x5555555555555555U;
  bits = (bits | bits >> 1) & 0x3333333333333333U;
  bits = (bits | bits >> 2) & 0x0F0F0F0F0F0F0F0FU;
  bits = (bits | bits >> 4) & 0x00FF00FF00FF00FFU;
  bits = (bits | bits >> 8) & 0x0000FFFF0000FFFFU;
  return (bits | bits >> 16) & 0x00000000FFFFFFFFU;
}

std::uint32_t lowest_bit(std::uint64_t bits) {
#if defined(__GNUC__)
  return static_cast<std::uint32_t>(__builtin_ctzll(bits));
#else
  std::uint32_t at = 0;
  while ((bits >> at & 1U) == 0) ++at;
  return at;
#endif
}

// Appends `first` + x for every set bit x * stride of the words with x below `limit`.
std::size_t append(const std::uint64_t* columns, std::uint32_t words, std::uint32_t stride,
                   std::uint32_t first, std::uint32_t limit, std::uint32_t* list) {
  std::size_t count = 0;
  if (stride > 2) {
    for (std::uint32_t x = 0; x < limit && x * stride / 64 < words; ++x) {
      list[count] = first + x;  // kept if the bit is set
      count += columns[x * stride / 64] >> (x * stride % 64) & 1U;
    }
    return count;
  }
  for (std::uint32_t w = 0; w < words; ++w) {
    std::uint64_t bits = stride == 1 ? columns[w] : even_bits(columns[w]);
    for (; bits != 0; bits &= bits - 1) {
      const std::uint32_t x = w * (64 / stride) + lowest_bit(bits);
      if (x >= limit) return count;
      list[count++] = first + x;
    }
  }
  return count;
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

std::size_t column_words(const ChangeMap& changes, const Window& window) {
  return changes.words() + window.padding[1] / 64 + 1;
}

std::size_t affected(const ChangeMap& changes, const Window& window, const Shape& output,
                     std::uint64_t* columns, std::uint32_t* list) {
  std::size_t count = 0;
  const auto words = static_cast<std::uint32_t>(column_words(changes, window));
  for (std::uint32_t y = 0; y < output.height; ++y) {
    const Range rows = rows_of(y, window, changes.height());
    for (std::uint32_t w = 0; w < words; ++w) columns[w] = 0;
    std::uint64_t any = 0;
    for (std::uint32_t row = rows.first; row < rows.last; ++row) {
      any |= add_moved(changes.row(row), changes.words(), window.padding[1], columns);
    }
    if (any == 0) continue;
    spread_all(columns, words, window.kernel[1]);
    count += append(columns, words, window.stride[1], y * output.width, output.width, list + count);
  }
  return count;
}

}  // namespace rlcompress
