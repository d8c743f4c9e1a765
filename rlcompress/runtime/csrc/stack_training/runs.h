// Runs: a position of a map and the steps from one change of what it reads to the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rlcompress::stack_training {

// A convolution's or pooling's geometry: height and width of what it reads and of what it gives.
struct Window {
  int kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w;
  int in_h, in_w, out_h, out_w;
};

// The runs of one map, numbered from 1 in the order in which they begin. Number 0 is the padding.
struct Runs {
  std::vector<std::int32_t> positions, begins, ends;
  std::vector<std::int32_t> inputs;  // numbers of the runs below that each one reads, tap by tap
};

// All maps' runs over the first frames of `frames` ([count, height, width, channels]); stops
// before the frame with which all maps together would have more than `limit` runs, but takes one
// frame at least. Returns how many frames were taken; runs[0] are those of the frames themselves.
std::size_t find_runs(const std::uint8_t* frames, std::size_t count, std::size_t channels,
                      const std::vector<Window>& windows, std::size_t limit,
                      std::vector<Runs>& runs);

}  // namespace rlcompress::stack_training
