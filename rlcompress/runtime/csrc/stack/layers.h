// Layers of float32 stacks as kernels read them, and the table of kernels of an instruction set.
//
// Every output is one sum in one lane, over the taps in ascending order, started from the bias. So its
// bits depend on its inputs alone: neither on the outputs beside it nor on how many are computed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace rlcompress::stack {

enum class Function : std::uint8_t { None, Relu, Tanh };

constexpr std::size_t kSlack = 32;   // floats behind every buffer: a vector read in blocks of 16, and a load more
constexpr std::size_t kBlock = 32;   // positions whose partial sums are kept as one
constexpr std::size_t kChannels = 8;  // channels of a map are padded to a multiple of this

// One output position: where its window begins and where its channels go.
struct Spot {
  const float* in;
  float* out;
};

// Output channels that are computed together: `vectors` vectors from `first` on.
struct Chunk {
  std::size_t first;
  std::size_t vectors;
  std::size_t weights;  // index into the layer's weights: [taps][vectors * lanes]
};

// Taps lie in runs that are contiguous in the input, channels padded as the input's are. Where `runs`
// is not 0, taps whose inputs are 0 at all positions of a block are passed over: they add nothing.
struct ConvLayer {
  const std::int32_t* offsets;  // of every tap from the window's begin, in bytes
  const std::uint32_t* taps;    // those that are no padding
  std::size_t tap_count;
  std::size_t runs;
  std::size_t run_length;
  std::uint32_t* scratch;  // room for every tap and a vector more
  std::size_t outputs;
  std::size_t channels;  // `outputs` padded with zeros
  const Chunk* chunks;
  std::size_t chunk_count;
  const float* weights;
  const float* bias;
  Function function;
};

struct PoolLayer {
  const std::int32_t* offsets;  // in floats
  std::size_t taps;
  std::size_t channels;  // padded, of input and output
  bool average;
  float divisor;
  Function function;
};

// A position's inputs and where its share of the outputs is kept.
struct Share {
  const float* in;
  float* sums;
  std::size_t position;
};

// Outputs lie in `full` vectors; those beyond, `rest` rounded up to a power of two, share one vector
// with several inputs side by side. Shares are kept as vectors and folded at the end.
struct LinearLayer {
  std::size_t positions;
  std::size_t channels;
  std::size_t outputs;
  std::size_t full;
  std::size_t rest;
  std::size_t stride;  // of a position's weights
  std::size_t width;   // floats of one share: (full + (rest > 0)) * lanes
  bool finite;         // weights: only then does an input of 0 add nothing
  const float* weights;
  const float* bias;
  std::size_t padded;  // outputs and bias, a multiple of 16
  Function function;
};

// Adds maps of equal shape: out = function(bias + in + in[1 * plane] + ...).
struct SumLayer {
  std::size_t planes;
  std::size_t plane;  // floats from one map to the next
  std::size_t channels;
  const float* bias;
  Function function;
};

struct Kernels {
  const char* isa;
  std::size_t lanes;
  std::size_t most_vectors;  // of a chunk
  // `moved`, where given, says for each spot whether any channel came out otherwise than it was.
  void (*conv)(const ConvLayer&, const Spot*, std::size_t count, std::uint8_t* moved);
  void (*pool)(const PoolLayer&, const Spot*, std::size_t count, std::uint8_t* moved);
  void (*sum)(const SumLayer&, const Spot*, std::size_t count, std::uint8_t* moved);
  // `which` has room for one number per channel and a vector more.
  void (*shares)(const LinearLayer&, const Share*, std::size_t count, std::uint32_t* which);
  // Sums of the blocks that are named, then of all blocks into `out` (padded to 16).
  void (*total)(const LinearLayer&, const float* shares, const std::uint32_t* blocks,
                std::size_t count, float* block_sums, float* out);
  // Bit i of `bits` (zeroed by the caller) is set where a[i] differs from b[i].
  void (*differ_bytes)(const std::uint8_t* a, const std::uint8_t* b, std::size_t size,
                       std::uint64_t* bits);
};

const Kernels& portable_kernels();
#if defined(RLC_X86)
const Kernels& avx2_kernels();
const Kernels& avx512_kernels();
#elif defined(RLC_ARM64)
const Kernels& neon_kernels();
#endif

// The kernels of one of the engine's instruction sets, or of the best for "auto".
const Kernels& kernels_for(const std::string& isa);

}  // namespace rlcompress::stack
