// What an instruction set offers: one table of functions over packed layers.
//
// Packed layers are views (pointers into memory that a plan owns), so that the kernel files, which
// are compiled for instruction sets the machine may lack, instantiate nothing from the standard
// library. Rows are in the order in which they lie in the output, filled up to kChannelStep.
#pragma once

#include <cstddef>
#include <cstdint>

#include "program.h"

namespace rlcompress {

// One output position: element of the input where its window starts, element of the output where
// its channels go.
struct Spot {
  std::uint32_t in;
  std::uint32_t out;
};

// What becomes of accumulators. Integer: h = f32(acc) * multiplier (the bias is where acc starts);
// float: h = acc * multiplier + bias. Then, unless `direct`, the function and 1 / scale.
struct Epilogue {
  const float* multiplier = nullptr;
  const float* bias = nullptr;  // float arithmetic
  const std::int32_t* integer_bias = nullptr;  // for the bytes of the input as they lie
  const std::int32_t* shifted_bias = nullptr;  // for those bytes less 128
  float low = 0, high = 0;  // limits of a quantised output
  std::int32_t zero = 0;  // byte that stands for 0 in it
  float inverse_scale = 1;
  float bound = 1;
  Function function = Function::None;
  bool direct = false;  // the multiplier already holds 1 / scale
  bool bounded = false;  // no scaled accumulator can leave int32
  bool quantised = false;
};

// Non-zeros row by row in ascending column order.
struct RowsLayer {
  std::uint32_t rows = 0;
  const std::uint32_t* begin = nullptr;  // rows + 1
  const std::uint32_t* offset = nullptr;  // element of the input, from the spot's
  const std::int8_t* integer_weight = nullptr;  // one of the two
  const float* weight = nullptr;
};

// Non-zeros in steps that one table look-up serves: `window` elements of the input from `offset` on
// are the table from which `lanes` rows take `slots` columns each. The slots of a row lie side by
// side where they are added at once (integers), and slot after slot where they are added in turn.
struct SweepLayer {
  std::uint32_t tiles = 0;
  const std::uint32_t* begin = nullptr;  // tiles + 1: steps of each tile
  std::uint32_t window = 0;
  std::uint32_t slots = 0;
  const std::uint32_t* offset = nullptr;  // per step
  const std::uint8_t* index = nullptr;  // per step lanes x slots; of integers, the weights follow
  const float* weight = nullptr;  // per step lanes x slots
};

// Every weight, zero or not: blocks of 4 columns x 16 rows, columns cut into contiguous segments.
struct BlocksLayer {
  std::uint32_t tiles = 0;
  std::uint32_t blocks = 0;  // per tile
  const std::uint32_t* offset = nullptr;  // per block: element of its first column
  const std::int8_t* weight = nullptr;  // tiles x blocks x 16 rows x 4 columns
};

// Every weight as float, column by column, for sums in column order.
struct ColumnsLayer {
  std::uint32_t rows = 0;  // filled up
  std::uint32_t columns = 0;
  const std::uint32_t* offset = nullptr;  // per column
  const float* weight = nullptr;  // columns x rows
};

// A convolution with neighbouring output positions in the lanes: the input is first unfolded into
// planes of floats, one per channel and phase of the stride, so that a weight meets contiguous ones.
struct PlanesLayer {
  std::uint32_t rows = 0;
  std::uint32_t channels = 0;
  std::uint32_t stride[2] = {1, 1};
  std::uint32_t phases[2] = {1, 1};  // of the stride that the kernel reads
  std::uint32_t plane[2] = {0, 0};  // rows and columns of one plane
  std::uint32_t region[2] = {0, 0};  // rows and columns of the input that are read
  std::uint32_t source = 0;  // element of the input where the region starts
  std::uint32_t pixel = 0, row = 0;  // steps of the input
  const std::uint32_t* place = nullptr;  // per channel: where it lies within a pixel
  const std::uint32_t* begin = nullptr;  // rows + 1
  const std::uint32_t* offset = nullptr;  // element of the planes
  const float* weight = nullptr;
  const std::uint32_t* lane_out = nullptr;  // per lane: element of the output, or kNowhere
  std::uint32_t lanes = 0;
  float zero = 0;  // zero byte of a quantised input
};

constexpr std::uint32_t kNowhere = 0xFFFFFFFFU;
constexpr std::uint32_t kLaneStep = 16;  // lists of lanes name groups of so many

struct PoolSpot {
  std::uint32_t in;
  std::uint32_t out;
  std::uint32_t rows;  // of the window that lie within the value
  std::uint32_t columns;
};

struct PoolLayer {
  std::uint32_t channels = 0;  // filled up
  std::uint32_t pixel = 0, row = 0;
};

struct AddSpot {
  std::uint32_t a;
  std::uint32_t b;
  std::uint32_t out;
};

struct AddLayer {
  std::uint32_t run = 0;  // elements per spot
  float multiplier[2] = {1, 1};
  float zero[2] = {0, 0};
};

struct MapLayer {
  std::uint32_t run = 0;  // elements per spot
  bool relu = false;  // of bytes whose zero is `zero_in`, to bytes whose zero is `zero_out`
  std::uint8_t zero_in = 0, zero_out = 0;
  const std::uint8_t* bytes = nullptr;  // byte -> byte
  const float* floats = nullptr;  // byte -> float
};

// An image as it comes in and the storage it goes to.
struct ImageLayer {
  std::uint32_t height = 0, width = 0, channels = 0;
  bool channels_first = false;
  bool bordered = false;
  std::uint32_t cell[2] = {1, 1};
  std::uint32_t row = 0;
};

struct Normalise {
  const float* mean = nullptr;  // null: not normalised
  const float* inverse_std = nullptr;
  float clip = 0;
};

// Look-up tables that an instruction set has; lanes = 0: none.
struct TableShape {
  std::uint32_t lanes = 0;
  std::uint32_t slots = 0;
  std::uint32_t window = 0;
  std::uint32_t align = 1;  // of a window's offset, in elements
  bool pairs = false;  // neighbouring slots are added in 16 bits that saturate
  float step_cost = 0;  // cycles, when one position is computed at a time
  float shared_cost = 0;  // cycles, when a step serves many positions
};

// What the other layouts cost, in cycles.
struct Costs {
  float tap;  // one weight of rows
  float block;  // 4 x 16 weights, when one position is computed at a time
  float shared_block;  // and when many are
  float column;  // 16 float weights of columns
};

using SpotList = const Spot*;

struct KernelTable {
  const char* isa;
  bool planes_for_bytes;  // integer convolutions go through planes of floats
  TableShape byte_tables[3];
  TableShape float_tables[2];
  Costs costs;

  void (*rows_integer)(const RowsLayer&, const Epilogue&, const std::uint8_t* in, void* out,
                       SpotList spots, std::size_t count);
  void (*rows_float)(const RowsLayer&, const Epilogue&, const float* in, void* out, SpotList spots,
                     std::size_t count);
  void (*sweep_integer)(const SweepLayer&, const Epilogue&, const std::uint8_t* in, void* out,
                        SpotList spots, std::size_t count);
  void (*sweep_float)(const SweepLayer&, const Epilogue&, const float* in, void* out,
                      SpotList spots, std::size_t count);
  void (*blocks)(const BlocksLayer&, const Epilogue&, const std::uint8_t* in, void* out,
                 SpotList spots, std::size_t count);
  void (*columns)(const ColumnsLayer&, const Epilogue&, const float* in, void* out, SpotList spots,
                  std::size_t count);

  void (*fill_planes_bytes)(const PlanesLayer&, const std::uint8_t* in, float* planes);
  void (*fill_planes_floats)(const PlanesLayer&, const float* in, float* planes);
  // `groups` lists groups of kLaneStep lanes; `exact`: sums of integers, in any way.
  void (*planes)(const PlanesLayer&, const Epilogue&, const float* planes, void* out,
                 const std::uint32_t* groups, std::size_t count, bool exact);

  void (*max_pool_bytes)(const PoolLayer&, const std::uint8_t* in, std::uint8_t* out,
                         const PoolSpot* spots, std::size_t count);
  void (*max_pool_floats)(const PoolLayer&, const float* in, float* out, const PoolSpot* spots,
                          std::size_t count);
  void (*add_bytes)(const AddLayer&, const Epilogue&, const std::uint8_t* a, const std::uint8_t* b,
                    std::uint8_t* out, const AddSpot* spots, std::size_t count);
  void (*add_floats)(const AddLayer&, const float* a, const float* b, float* out,
                     const AddSpot* spots, std::size_t count);
  void (*map_bytes)(const MapLayer&, const std::uint8_t* in, void* out, SpotList spots,
                    std::size_t count);
  void (*map_floats)(const MapLayer&, const Epilogue&, const float* in, void* out, SpotList spots,
                     std::size_t count);

  // Sets the bit of every position (`pixel` bytes) at which two lines differ; leaves the others.
  void (*differing)(const std::uint8_t* a, const std::uint8_t* b, std::size_t pixel,
                    std::size_t count, std::uint64_t* bits);
  // Copies `bytes` bytes (a multiple of 16) of every spot's output one after the other; `scale` is
  // the size of an element. `compare` says where they are different now.
  void (*gather)(const std::uint8_t* values, std::size_t scale, SpotList spots, std::size_t count,
                 std::size_t bytes, std::uint8_t* copy);
  void (*compare)(const std::uint8_t* values, std::size_t scale, SpotList spots, std::size_t count,
                  std::size_t bytes, const std::uint8_t* copy, std::uint8_t* changed);
  // Places an image in one go, if it is of a shape for which that has been written; may be null.
  bool (*place_image)(const ImageLayer&, const std::uint8_t* in, std::uint8_t* out);
  // One line of `width` positions out of as many planes as there are channels. The line has room
  // for 16 more elements.
  void (*interleave_bytes)(const std::uint8_t* in, std::size_t plane, std::size_t channels,
                           std::uint8_t* line, std::size_t width);
  void (*interleave_floats)(const float* in, std::size_t plane, std::size_t channels, float* line,
                            std::size_t width);
  // Index of the first element that is not finite in float32, or `size`.
  std::size_t (*prepare_f32)(const Normalise&, const float* in, float* out, std::size_t size);
  std::size_t (*prepare_f64)(const Normalise&, const double* in, float* out, std::size_t size);
  bool (*all_finite)(const float* values, std::size_t size);
  void (*tanh)(const float* in, float* out, std::size_t size);
};

const KernelTable& portable_kernels();
#if defined(RLC_X86)
const KernelTable& avx2_kernels();
const KernelTable& avx512_kernels();
#endif
#if defined(RLC_ARM64)
const KernelTable& neon_kernels();
const KernelTable& neon_dot_kernels();
#endif

}  // namespace rlcompress
