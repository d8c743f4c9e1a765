#include <algorithm>
#include <utility>

#include "pack.h"

namespace rlcompress {
namespace {

// Output element of every lane. Lanes run over the positions of a plane, of which the last columns
// of each row belong to no output.
Aligned<std::uint32_t> lane_outputs(const PlanesLayer& layer, const Storage& output) {
  const std::size_t height = output.shape.height;
  const std::size_t width = output.shape.width;
  const std::size_t used = (height - 1) * layer.plane[1] + width;
  Aligned<std::uint32_t> out(round_up(used, kLaneStep), kNowhere);
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t x = 0; x < width; ++x) {
      out[y * layer.plane[1] + x] = static_cast<std::uint32_t>(output.position(y, x));
    }
  }
  return out;
}

}  // namespace

void pack_planes(PackedLinear& packed, const Taps& taps, const Op& op, const Storage& input,
                 const Storage& output) {
  PlanesLayer& layer = packed.planes;
  layer.rows = taps.rows;
  layer.channels = input.shape.channels;
  const std::uint32_t size[2] = {output.shape.height, output.shape.width};
  for (int axis = 0; axis < 2; ++axis) {
    layer.stride[axis] = op.window.stride[axis];
    layer.phases[axis] = std::min(op.window.stride[axis], op.window.kernel[axis]);
    layer.region[axis] = (size[axis] - 1) * layer.stride[axis] + op.window.kernel[axis];
    layer.plane[axis] = (layer.region[axis] + layer.stride[axis] - 1) / layer.stride[axis];
  }
  layer.source = static_cast<std::uint32_t>(input.padded(input.border[0] - op.window.padding[0],
                                                         input.border[1] - op.window.padding[1]));
  layer.pixel = input.pixel;
  layer.row = input.row;
  layer.zero = input.zero;
  layer.place = packed.keep(Aligned<std::uint32_t>(input.order.begin(), input.order.end()));

  std::vector<std::uint32_t> channel_at(input.pixel, 0);
  for (std::uint32_t c = 0; c < input.order.size(); ++c) channel_at[input.order[c]] = c;
  const std::uint32_t plane = layer.plane[0] * layer.plane[1];
  const std::uint32_t* stride = layer.stride;
  Aligned<std::uint32_t> begin(1, 0);
  Aligned<std::uint32_t> offset;
  Aligned<float> weight;
  for (const std::vector<Tap>& row : taps.row) {
    for (const Tap& tap : row) {
      const std::uint32_t y = tap.offset / input.row;
      const std::uint32_t x = tap.offset % input.row / input.pixel;
      const std::uint32_t c = channel_at[tap.offset % input.row % input.pixel];
      const std::uint32_t p =
          (c * layer.phases[0] + y % stride[0]) * layer.phases[1] + x % stride[1];
      offset.push_back(p * plane + y / stride[0] * layer.plane[1] + x / stride[1]);
      weight.push_back(tap.weight);
    }
    begin.push_back(static_cast<std::uint32_t>(offset.size()));
  }
  Aligned<std::uint32_t> lanes = lane_outputs(layer, output);
  layer.lanes = static_cast<std::uint32_t>(lanes.size());
  layer.lane_out = packed.keep(std::move(lanes));
  layer.begin = packed.keep(std::move(begin));
  layer.offset = packed.keep(std::move(offset));
  layer.weight = packed.keep(std::move(weight));
  // Lanes beyond the last position may read beyond the last plane.
  const std::size_t planes = std::size_t{layer.channels} * layer.phases[0] * layer.phases[1];
  packed.plane_elements = planes * plane + layer.lanes + 64;
}

}  // namespace rlcompress
