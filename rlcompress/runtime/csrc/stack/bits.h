// Masks over the positions of a map: one bit each, rows in whole words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rlcompress::stack {

struct Window {
  std::size_t kernel[2];
  std::size_t stride[2];
  std::size_t padding[2];
  std::size_t dilation[2];
};

class Bits {
 public:
  Bits() = default;
  Bits(std::size_t rows, std::size_t columns)
      : rows_(rows), columns_(columns), words_((columns + 63) / 64), data_(rows * words_) {}

  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }
  std::size_t words() const { return words_; }
  std::uint64_t* row(std::size_t y) { return data_.data() + y * words_; }
  const std::uint64_t* row(std::size_t y) const { return data_.data() + y * words_; }

  void clear();
  void fill();
  bool any() const;
  bool all() const { return count() == rows_ * columns_; }
  std::size_t count() const;
  bool get(std::size_t y, std::size_t x) const { return (row(y)[x / 64] >> x % 64 & 1) != 0; }
  void drop(std::size_t y, std::size_t x) { row(y)[x / 64] &= ~(std::uint64_t{1} << x % 64); }
  void set(std::size_t y, std::size_t x) { row(y)[x / 64] |= std::uint64_t{1} << x % 64; }
  void add(const Bits& other);

 private:
  std::size_t rows_ = 0;
  std::size_t columns_ = 0;
  std::size_t words_ = 0;
  std::vector<std::uint64_t> data_;
};

// One row of all positions.
void flatten(const Bits& in, Bits& out);

// Sets in `out` exactly the outputs that read an input in `in`. `scratch` grows once.
void dilate(const Window& window, const Bits& in, Bits& out, std::vector<std::uint64_t>& scratch);

inline int lowest_bit(std::uint64_t word) {
#if defined(_MSC_VER)
  int i = 0;
  for (; (word & 1) == 0; word >>= 1) ++i;
  return i;
#else
  return __builtin_ctzll(word);
#endif
}

// Calls each(y, x) for every set bit in order.
template <class Each>
void for_each(const Bits& bits, Each each) {
  for (std::size_t y = 0; y < bits.rows(); ++y) {
    const std::uint64_t* row = bits.row(y);
    for (std::size_t w = 0; w < bits.words(); ++w) {
      for (std::uint64_t word = row[w]; word != 0; word &= word - 1) {
        each(y, w * 64 + static_cast<std::size_t>(lowest_bit(word)));
      }
    }
  }
}

}  // namespace rlcompress::stack
