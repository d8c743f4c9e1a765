// Bounded reading of little-endian numbers from untrusted bytes; knows no format.
#pragma once

#include <cstring>
#include <vector>

#include "image.h"

namespace rlcompress {

class Reader {
 public:
  Reader(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}

  std::size_t left() const { return left_; }

  // The next `count` bytes; the pointer is valid for exactly that many.
  const std::uint8_t* bytes(std::size_t count) {
    if (count > left_) throw ImageError("image ends too early");
    const std::uint8_t* at = data_;
    data_ += count;
    left_ -= count;
    return at;
  }

  std::uint32_t u32() {
    const std::uint8_t* b = bytes(4);
    return std::uint32_t{b[0]} | std::uint32_t{b[1]} << 8 | std::uint32_t{b[2]} << 16 |
           std::uint32_t{b[3]} << 24;
  }

  std::int64_t i64() {
    const std::uint64_t low = u32();
    const std::uint64_t high = u32();
    return static_cast<std::int64_t>(low | high << 32);
  }

  std::uint32_t below(std::uint32_t limit, const char* what) {
    const std::uint32_t value = u32();
    if (value >= limit) {
      throw ImageError(std::string(what) + " must be below " + std::to_string(limit) + ", got " +
                       std::to_string(value));
    }
    return value;
  }

  std::uint32_t between(std::uint32_t low, std::uint32_t high, const char* what) {
    const std::uint32_t value = u32();
    if (value < low || value > high) {
      throw ImageError(std::string(what) + " must be in " + std::to_string(low) + ".." +
                       std::to_string(high) + ", got " + std::to_string(value));
    }
    return value;
  }

  float f32_any() {
    const std::uint32_t word = u32();
    float value = 0;
    std::memcpy(&value, &word, 4);
    return value;
  }

  float f32(const char* what) {
    const float value = f32_any();
    if (!(value - value == 0)) throw ImageError(std::string(what) + " must be finite");
    return value;
  }

  float positive(const char* what) {
    const float value = f32(what);
    if (!(value > 0)) throw ImageError(std::string(what) + " must be positive");
    return value;
  }

  std::vector<float> floats(std::size_t count, const char* what) {
    need(count, 4);
    std::vector<float> values(count);
    for (float& value : values) value = f32(what);
    return values;
  }

  // That `count` items of `size` bytes are still there, so that room for them may be allocated.
  void need(std::size_t count, std::size_t size) const {
    if (count > left_ / size) throw ImageError("image ends too early");
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

}  // namespace rlcompress
