// Kernels in plain C++, for processors without anything better.
#include <cstring>

#include "bits.h"

namespace rlcompress::bits {
namespace {

inline std::int64_t count_bits(std::uint64_t word) {
  word -= word >> 1 & 0x5555555555555555U;
  word = (word & 0x3333333333333333U) + (word >> 2 & 0x3333333333333333U);
  word = (word + (word >> 4)) & 0x0F0F0F0F0F0F0F0FU;
  return static_cast<std::int64_t>(word * 0x0101010101010101U >> 56);
}

#include "generic.inl"
#include "table.inl"

}  // namespace

const Kernels& portable_kernels() {
  static const Kernels kernels = {"portable", fire_words, sums_words, fire_table,
                                  sums_each, table_bytes, fill_table, encode_numbers};
  return kernels;
}

}  // namespace rlcompress::bits
