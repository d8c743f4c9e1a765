// A program made ready to run on one instruction set: memory layout, packed layers, lists of
// positions. Immutable once made, so that any number of threads may run it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels.h"
#include "layout.h"
#include "pack.h"
#include "program.h"

namespace rlcompress {

struct Step {
  OpTag tag = OpTag::Flatten;
  std::size_t input = 0, second = 0, output = 0;  // storages
  double cycles = 0;  // of all positions, roughly
  bool check_finite = false;  // the input of a float layer may hold infinities
  PackedLinear linear;
  std::size_t planes_at = 0;  // floats, in the scratch memory
  PoolLayer pool;
  AddLayer add;
  MapLayer map;
  bits::Encoder encoder;
  bits::PackedLayer binary;
  bool map_bytes = false;
  Epilogue epilogue;  // of adds and maps
  Aligned<std::uint8_t> byte_map;
  Aligned<float> float_map;
  Window window;
  // Every output position, in rows; dense layers: every sample of a group.
  std::vector<Spot> spots;
  std::vector<PoolSpot> pool_spots;
  std::vector<AddSpot> add_spots;
  std::vector<std::uint32_t> groups;  // of lanes
};

struct Plan {
  Program program;
  const KernelTable* kernels = nullptr;
  const bits::Kernels* bit_kernels = nullptr;
  Layout layout;
  std::vector<Step> steps;
  std::size_t group = 1;  // samples that dense layers take at a time
  std::size_t scratch = 0;  // floats
  std::size_t line_at = 0;  // one line of an image in the scratch memory, then a float image
  std::size_t line_size = 0;
  std::vector<std::uint32_t> output_at;  // element of the last storage of every output
};

Plan make_plan(Program program, const KernelTable& kernels);

}  // namespace rlcompress
