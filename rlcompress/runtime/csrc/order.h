// Finds an order of a layer's rows in which few look-up steps serve all of them.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"
#include "taps.h"

namespace rlcompress {

// The row for each of the first `rows` places. Deterministic, and bounded in time.
std::vector<std::uint32_t> order_rows(const Taps& taps, std::uint32_t rows,
                                      const TableShape& table);

}  // namespace rlcompress
