// Which positions of a value differ from the last frame's, one bit each; and which outputs of a
// window that concerns.
#pragma once

#include <cstdint>
#include <vector>

#include "program.h"

namespace rlcompress {

class ChangeMap {
 public:
  explicit ChangeMap(const Shape& shape)
      : height_(shape.height),
        width_(shape.width),
        words_((shape.width + 63) / 64),
        bits_(words_ * shape.height, 0) {}

  std::uint32_t height() const { return height_; }
  std::uint32_t width() const { return width_; }
  std::uint32_t words() const { return words_; }

  // Whether every position counts as changed, or none does.
  bool all() const { return all_; }
  bool none() const { return !all_ && !some_; }

  void clear();
  void set_all() { all_ = true; }
  void set(std::uint32_t y, std::uint32_t x, bool changed) {
    some_ = some_ || changed;
    bits_[y * std::size_t{words_} + x / 64] |= std::uint64_t{changed} << (x % 64);
  }
  // Adds the bits of a row; returns whether there were any.
  bool add_row(std::uint32_t y, const std::uint64_t* bits);
  const std::uint64_t* row(std::uint32_t y) const { return bits_.data() + y * std::size_t{words_}; }
  bool row_changed(std::uint32_t y) const;
  // Takes over the changes of a value of the same shape.
  void add(const ChangeMap& other);

 private:
  std::uint32_t height_, width_, words_;
  bool all_ = false;
  bool some_ = false;
  std::vector<std::uint64_t> bits_;
};

// Words of scratch memory that `affected` needs.
std::size_t column_words(const ChangeMap& changes, const Window& window);

// Numbers of the output positions whose window reads a changed position, ascending, into `list`
// (which has room for all of them and one more); returns how many. `columns` is scratch memory.
std::size_t affected(const ChangeMap& changes, const Window& window, const Shape& output,
                     std::uint64_t* columns, std::uint32_t* list);

}  // namespace rlcompress
