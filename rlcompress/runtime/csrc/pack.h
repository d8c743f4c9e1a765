// Packs layers for the kernels; which packing a layer gets is decided in choose.h.
#pragma once

#include <cstdint>
#include <vector>

#include "aligned.h"
#include "kernels.h"
#include "layout.h"
#include "taps.h"

namespace rlcompress {

enum class Packing : std::uint8_t { Rows, Sweep, Blocks, Columns, Planes };

// A layer as a kernel reads it: views, and the memory behind them.
struct PackedLinear {
  Packing packing = Packing::Rows;
  bool integer = false;
  Epilogue epilogue;
  RowsLayer rows;  // also of float layers that multiply zeros, for inputs that are not finite
  SweepLayer sweep;
  BlocksLayer blocks;
  ColumnsLayer columns;
  PlanesLayer planes;
  std::size_t plane_elements = 0;  // scratch memory of `planes`
  double cycles = 0;  // of one position, roughly

  PackedLinear() = default;
  PackedLinear(PackedLinear&&) = default;
  PackedLinear& operator=(PackedLinear&&) = default;
  PackedLinear(const PackedLinear&) = delete;
  PackedLinear& operator=(const PackedLinear&) = delete;

  template <class T>
  const T* keep(std::vector<T, AlignedAllocator<T>> values);

 private:
  std::vector<Aligned<std::uint8_t>> bytes_;
  std::vector<Aligned<std::int8_t>> integers_;
  std::vector<Aligned<std::int32_t>> words_;
  std::vector<Aligned<std::uint32_t>> indices_;
  std::vector<Aligned<float>> floats_;
};

// `from[place]` is the row that lies at each place of the output.
void pack_epilogue(PackedLinear& packed, const Op& op, const Storage& input,
                   const std::vector<std::uint32_t>& from);
void pack_rows(PackedLinear& packed, const Taps& taps);
void pack_blocks(PackedLinear& packed, const Taps& taps);
void pack_columns(PackedLinear& packed, const Taps& taps);
void pack_planes(PackedLinear& packed, const Taps& taps, const Op& op, const Storage& input,
                 const Storage& output);
// Steps that a tile of these rows takes, and all tiles in the order of the rows.
std::size_t tile_steps(const Taps& taps, const std::uint32_t* rows, const TableShape& table);
std::size_t sweep_steps(const Taps& taps, const TableShape& table);
void pack_sweep(PackedLinear& packed, const Taps& taps, const TableShape& table);

}  // namespace rlcompress
