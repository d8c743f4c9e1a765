#include "bits.h"

#include <algorithm>

namespace rlcompress::stack {
namespace {

// to |= from << shift.
void or_up(const std::uint64_t* from, std::size_t from_words, std::size_t shift, std::uint64_t* to,
           std::size_t to_words) {
  const std::size_t words = shift / 64;
  const std::size_t bits = shift % 64;
  for (std::size_t w = 0; w < from_words && w + words < to_words; ++w) {
    to[w + words] |= from[w] << bits;
    if (bits != 0 && w + words + 1 < to_words) to[w + words + 1] |= from[w] >> (64 - bits);
  }
}

// to |= from >> shift.
void or_down(const std::uint64_t* from, std::size_t from_words, std::size_t shift,
             std::uint64_t* to, std::size_t to_words) {
  const std::size_t words = shift / 64;
  const std::size_t bits = shift % 64;
  for (std::size_t w = 0; w < to_words && w + words < from_words; ++w) {
    to[w] |= from[w + words] >> bits;
    if (bits != 0 && w + words + 1 < from_words) to[w] |= from[w + words + 1] << (64 - bits);
  }
}

void cut(std::uint64_t* row, std::size_t words, std::size_t columns) {
  if (columns % 64 != 0) row[words - 1] &= ~std::uint64_t{0} >> (64 - columns % 64);
}

// Every stride-th bit.
void thin(const std::uint64_t* from, std::size_t stride, std::uint64_t* to, std::size_t columns) {
  for (std::size_t x = 0; x < columns; ++x) {
    const std::size_t at = x * stride;
    to[x / 64] |= (from[at / 64] >> at % 64 & 1) << x % 64;
  }
}

// Whether every output reads an input, whatever the size of the map.
bool all_read_inside(const Window& window) {
  bool inside = true;
  for (std::size_t axis = 0; axis < 2; ++axis) {
    inside = inside && window.dilation[axis] == 1 && window.padding[axis] < window.kernel[axis];
  }
  return inside;
}

}  // namespace

void Bits::clear() { std::fill(data_.begin(), data_.end(), 0); }

void Bits::fill() {
  std::fill(data_.begin(), data_.end(), ~std::uint64_t{0});
  for (std::size_t y = 0; y < rows_; ++y) cut(row(y), words_, columns_);
}

bool Bits::any() const {
  return std::any_of(data_.begin(), data_.end(), [](std::uint64_t word) { return word != 0; });
}

std::size_t Bits::count() const {
  std::uint64_t found = 0;  // without an instruction for it that every processor has
  for (std::uint64_t word : data_) {
    if (word == 0) continue;
    word -= word >> 1 & 0x5555555555555555U;
    word = (word & 0x3333333333333333U) + (word >> 2 & 0x3333333333333333U);
    found += ((word + (word >> 4)) & 0x0F0F0F0F0F0F0F0FU) * 0x0101010101010101U >> 56;
  }
  return static_cast<std::size_t>(found);
}

void Bits::add(const Bits& other) {
  for (std::size_t i = 0; i < data_.size(); ++i) data_[i] |= other.data_[i];
}

void flatten(const Bits& in, Bits& out) {
  out.clear();
  for (std::size_t y = 0; y < in.rows(); ++y) {
    or_up(in.row(y), in.words(), y * in.columns(), out.row(0), out.words());
  }
}

void dilate(const Window& window, const Bits& in, Bits& out, std::vector<std::uint64_t>& scratch) {
  if (in.all() && all_read_inside(window)) return out.fill();
  out.clear();
  // Rows of the input that are not empty mark the rows of the output that read them; then each such
  // row gathers its inputs, shifted into padded columns, and folds the taps onto one another.
  const std::size_t padded = in.columns() + 2 * window.padding[1];
  const std::size_t words = (padded + 63) / 64;
  scratch.assign(in.words() + 2 * words, 0);
  std::uint64_t* gathered = scratch.data();
  std::uint64_t* shifted = gathered + in.words();
  std::uint64_t* folded = shifted + words;
  for (std::size_t v = 0; v < out.rows(); ++v) {
    std::fill(gathered, gathered + in.words(), 0);
    std::uint64_t any = 0;
    for (std::size_t j = 0; j < window.kernel[0]; ++j) {
      const std::size_t y = v * window.stride[0] + j * window.dilation[0];
      if (y < window.padding[0] || y - window.padding[0] >= in.rows()) continue;
      const std::uint64_t* row = in.row(y - window.padding[0]);
      for (std::size_t w = 0; w < in.words(); ++w) any |= gathered[w] |= row[w];
    }
    if (any == 0) continue;
    const std::uint64_t* source = gathered;
    std::size_t source_words = in.words();
    if (window.padding[1] != 0) {
      std::fill(shifted, shifted + words, 0);
      or_up(gathered, in.words(), window.padding[1], shifted, words);
      source = shifted;
      source_words = words;
    }
    if (window.stride[1] == 1) {
      for (std::size_t j = 0; j < window.kernel[1]; ++j) {
        or_down(source, source_words, j * window.dilation[1], out.row(v), out.words());
      }
      cut(out.row(v), out.words(), out.columns());
      continue;
    }
    std::fill(folded, folded + words, 0);
    for (std::size_t j = 0; j < window.kernel[1]; ++j) {
      or_down(source, source_words, j * window.dilation[1], folded, words);
    }
    thin(folded, window.stride[1], out.row(v), out.columns());
  }
}

}  // namespace rlcompress::stack
