// Layers with the memory that they point into, in the order in which kernels read it.
#pragma once

#include <vector>

#include "../aligned.h"
#include "bits.h"
#include "layers.h"

namespace rlcompress::stack {

enum class Kind : std::uint8_t { Conv, Max, Average, Linear };

struct Shape {
  std::size_t channels;
  std::size_t rows;
  std::size_t columns;
};

struct StageSpec {
  Kind kind;
  Function function;
  Shape in;
  Shape out;
  Window window;
};

// How a map lies in memory: rows of positions of `stride` floats, inside a border of `fill`.
struct Map {
  Shape shape;
  std::size_t stride;
  std::size_t border[2];
  float fill;

  std::size_t row() const { return (shape.columns + 2 * border[1]) * stride; }
  std::size_t size() const { return (shape.rows + 2 * border[0]) * row(); }
  std::size_t at(std::size_t y, std::size_t x) const {  // without the border
    return (y + border[0]) * row() + (x + border[1]) * stride;
  }
};

struct PackedConv {
  std::vector<std::int32_t> offsets;
  std::vector<std::uint32_t> taps;
  std::vector<std::uint32_t> scratch;
  std::vector<Chunk> chunks;
  Aligned<float> weights;
  Aligned<float> bias;
  ConvLayer layer = {};
};

struct PackedLinear {
  Aligned<float> weights;
  Aligned<float> bias;
  LinearLayer layer = {};
};

struct PackedPool {
  std::vector<std::int32_t> offsets;
  PoolLayer layer = {};
};

// `weight` as torch keeps it, [out][all][kernel][kernel]; of `all` input channels those from `first`
// on are read. Without bias the sums start from 0.
void pack_conv(const Kernels& kernels, const StageSpec& stage, const Map& in, const float* weight,
               std::size_t all, std::size_t first, const float* bias, PackedConv& to);
void pack_linear(const Kernels& kernels, const StageSpec& stage, const float* weight,
                 const float* bias, PackedLinear& to);
void pack_pool(const StageSpec& stage, const Map& in, const Map& out, PackedPool& to);

}  // namespace rlcompress::stack
