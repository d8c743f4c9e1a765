#include "plan.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <numeric>
#include <utility>

#include "choose.h"
#include "image.h"

namespace rlcompress {
namespace {

// Samples that share a layer's weights while these are in the cache.
constexpr std::size_t kMaxGroup = 16;
constexpr std::size_t kGroupBytes = std::size_t{1} << 18;

constexpr std::size_t kMaxScratch = std::size_t{1} << 28;  // floats
constexpr double kElementCost = 0.5;  // cycles of an element of a pool, an addition or a function

class PlanMaker {
 public:
  explicit PlanMaker(Plan& plan) : plan_(plan) {}

  void make() {
    const Observation& observation = plan_.program.observation;
    const Shape& shape = observation.type.shape;
    if (!shape.vector) {
      plan_.line_size = round_up(std::size_t{shape.width} * shape.channels + 16, kAlignment);
      plan_.scratch += plan_.line_size;
      if (!observation.image) plan_.scratch += round_up(observation.size, kAlignment);
    }
    // Orders first follow the ops, because a reader is packed for its writer's order.
    for (std::size_t k = 0; k < plan_.program.ops.size(); ++k) add_op(k);
    const std::size_t most = kGroupBytes / std::max<std::size_t>(plan_.layout.bytes, 1);
    plan_.group = std::clamp<std::size_t>(most, 1, kMaxGroup);
    for (Step& step : plan_.steps) {
      if (step.tag == OpTag::Dense) add_samples(step);
    }
    const Storage& last = plan_.layout.of(plan_.program.ops.size());
    for (std::size_t i = 0; i < plan_.program.outputs(); ++i) {
      plan_.output_at.push_back(static_cast<std::uint32_t>(last.flat(i)));
    }
  }

 private:
  Storage& storage(std::size_t index) { return plan_.layout.storages[index]; }

  void add_op(std::size_t index) {
    const Op& op = plan_.program.ops[index];
    if (plan_.layout.is_alias(op, index)) return;
    Step step;
    step.tag = op.tag;
    step.window = op.window;
    step.input = plan_.layout.storage_of[op.inputs[0]];
    step.second = plan_.layout.storage_of[op.inputs[1]];
    step.output = plan_.layout.storage_of[index + 1];
    switch (op.tag) {
      case OpTag::Dense:
      case OpTag::Conv:
        add_linear(op, step);
        break;
      case OpTag::MaxPool:
        add_pool(step);
        break;
      case OpTag::Add:
        add_add(op, step);
        break;
      case OpTag::Activation:
        add_activation(op, step);
        break;
      case OpTag::Encode:
        step.encoder = op.encoder;
        break;
      case OpTag::BinaryDense:
        step.binary = bits::pack(op.binary);
        break;
      case OpTag::Flatten:
        add_copies(op, step);
        break;
    }
    if (step.cycles == 0) step.cycles = kElementCost * static_cast<double>(op.output.shape.size());
    plan_.steps.push_back(std::move(step));
  }

  // Each element of a value for itself, in the order in which the value is read as one axis.
  void add_copies(const Op& op, Step& step) {
    const Storage& in = storage(step.input);
    const Storage& out = storage(step.output);
    for (std::size_t i = 0; i < op.output.shape.size(); ++i) {
      step.spots.push_back(
          {static_cast<std::uint32_t>(in.flat(i)), static_cast<std::uint32_t>(out.flat(i))});
    }
  }

  void add_linear(const Op& op, Step& step) {
    if (op.tag == OpTag::Dense && !op.linear.integer && storage(step.input).quantised) {
      step.input = add_float_copy(step.input);
    }
    step.check_finite = step.input != plan_.layout.storage_of[0];
    Storage& output = storage(step.output);
    step.linear = pack_linear(op, storage(step.input), output, *plan_.kernels);
    step.cycles = step.linear.cycles * static_cast<double>(output.shape.positions());
    if (op.tag != OpTag::Conv) return;
    step.planes_at = plan_.scratch;
    plan_.scratch += round_up(step.linear.plane_elements, kAlignment);
    if (plan_.scratch > kMaxScratch) throw ImageError("a convolution is too large");
    for (std::size_t i = 0; i < step.linear.planes.lanes / kLaneStep; ++i) {
      step.groups.push_back(static_cast<std::uint32_t>(i));
    }
    add_positions(step);
  }

  // A float layer on a quantised value reads its integers as floats.
  std::size_t add_float_copy(std::size_t source) {
    Storage copy = storage(source);
    copy.quantised = false;
    copy.offset = plan_.layout.bytes;
    plan_.layout.bytes += round_up(copy.elements * 4 + kOverread, kAlignment);
    const std::size_t index = plan_.layout.storages.size();
    plan_.layout.storages.push_back(copy);
    Step step;
    step.tag = OpTag::Activation;
    step.input = source;
    step.output = index;
    step.map_bytes = true;
    for (int byte = 0; byte < 256; ++byte) {
      step.float_map.push_back(static_cast<float>(byte - copy.zero));
    }
    step.map.floats = step.float_map.data();
    add_runs(step);
    plan_.steps.push_back(std::move(step));
    return index;
  }

  template <class Visit>
  void each_position(const Step& step, Visit visit) {
    const Shape& shape = storage(step.output).shape;
    for (std::uint32_t y = 0; y < shape.height; ++y) {
      for (std::uint32_t x = 0; x < shape.width; ++x) visit(y, x);
    }
  }

  static std::uint32_t at(const Storage& storage, std::size_t y, std::size_t x) {
    return static_cast<std::uint32_t>(storage.position(y, x));
  }

  void add_positions(Step& step) {
    const Storage& in = storage(step.input);
    const Storage& out = storage(step.output);
    const Window& w = step.window;
    each_position(step, [&](std::uint32_t y, std::uint32_t x) {
      const std::size_t from = in.padded(std::size_t{y} * w.stride[0] + in.border[0] - w.padding[0],
                                         std::size_t{x} * w.stride[1] + in.border[1] - w.padding[1]);
      step.spots.push_back({static_cast<std::uint32_t>(from), at(out, y, x)});
    });
  }

  void add_samples(Step& step) {
    const std::size_t in = plan_.layout.bytes / storage(step.input).element_size();
    const std::size_t out = plan_.layout.bytes / storage(step.output).element_size();
    for (std::size_t s = 0; s < plan_.group; ++s) {
      step.spots.push_back({static_cast<std::uint32_t>(s * in), static_cast<std::uint32_t>(s * out)});
    }
  }

  void add_pool(Step& step) {
    const Storage& in = storage(step.input);
    Storage& out = storage(step.output);
    out.order = in.order;
    step.pool = {static_cast<std::uint32_t>(round_up(out.shape.channels, kChannelStep)), in.pixel,
                 in.row};
    const Window& w = step.window;
    each_position(step, [&](std::uint32_t y, std::uint32_t x) {
      std::uint32_t first[2];
      std::uint32_t size[2];
      const std::uint32_t position[2] = {y, x};
      const std::uint32_t limit[2] = {in.shape.height, in.shape.width};
      for (int axis = 0; axis < 2; ++axis) {
        const std::uint32_t start = position[axis] * w.stride[axis];
        const std::uint32_t stop = start + w.kernel[axis] - w.padding[axis];
        first[axis] = start < w.padding[axis] ? 0 : start - w.padding[axis];
        size[axis] = std::min(stop, limit[axis]) - first[axis];
      }
      step.pool_spots.push_back({at(in, first[0], first[1]), at(out, y, x), size[0], size[1]});
    });
  }

  void add_add(const Op& op, Step& step) {
    const Storage& a = storage(step.input);
    const Storage& b = storage(step.second);
    Storage& out = storage(step.output);
    out.order = a.order;
    for (int i = 0; i < 2; ++i) {
      step.add.multiplier[i] = op.multipliers[i];
      step.add.zero[i] = (i == 0 ? a : b).zero;
    }
    set_output(op, step.epilogue);
    step.epilogue.direct = true;
    const float reach = std::fabs(op.multipliers[0]) + std::fabs(op.multipliers[1]);
    step.epilogue.bounded = reach < 1e6F;
    const bool rows = in_rows({step.input, step.second, step.output});
    step.add.run = each_run(step, rows, [&](std::uint32_t y, std::uint32_t x) {
      step.add_spots.push_back({at(a, y, x), at(b, y, x), at(out, y, x)});
    });
  }

  static void set_output(const Op& op, Epilogue& e) {
    e.quantised = op.output.quantised();
    e.low = static_cast<float>(op.output.lowest());
    e.high = static_cast<float>(op.output.highest());
    e.zero = op.output.zero_byte();
    e.inverse_scale = op.output.inverse_scale();
    e.function = op.function;
    e.bound = op.bound;
  }

  void add_activation(const Op& op, Step& step) {
    const Storage& in = storage(step.input);
    storage(step.output).order = in.order;
    set_output(op, step.epilogue);
    if (in.quantised) {
      step.map_bytes = true;
      make_byte_map(op, step);
    }
    add_runs(step);
  }

  // There are only 256 bytes: the function is computed once for each.
  void make_byte_map(const Op& op, Step& step) {
    const TensorType& input = plan_.program.value(op.inputs[0]);
    for (int byte = 0; byte < 256; ++byte) {
      const float integer = static_cast<float>(byte - input.zero_byte());
      if (op.function == Function::Relu) {
        const int kept = std::max(byte - input.zero_byte(), 0) + op.output.zero_byte();
        step.byte_map.push_back(static_cast<std::uint8_t>(std::min(kept, 255)));
        continue;
      }
      float real[16] = {integer * input.scale};
      const Spot spot = {0, 0};
      MapLayer one;
      one.run = 16;
      if (op.output.quantised()) {
        std::uint8_t result[16];
        plan_.kernels->map_floats(one, step.epilogue, real, result, &spot, 1);
        step.byte_map.push_back(result[0]);
      } else {
        float result[16];
        plan_.kernels->map_floats(one, step.epilogue, real, result, &spot, 1);
        step.float_map.push_back(result[0]);
      }
    }
    step.map.relu = op.function == Function::Relu;
    step.map.zero_in = input.zero_byte();
    step.map.zero_out = op.output.zero_byte();
    if (!step.byte_map.empty()) step.map.bytes = step.byte_map.data();
    if (!step.float_map.empty()) step.map.floats = step.float_map.data();
  }

  // Whether the positions of a row lie side by side, in the same steps everywhere.
  bool in_rows(std::initializer_list<std::size_t> storages) {
    const std::uint32_t pixel = storage(*storages.begin()).pixel;
    return std::all_of(storages.begin(), storages.end(), [&](std::size_t index) {
      return storage(index).pixel == pixel && !storage(index).in_cells();
    });
  }

  // Element-wise ops go over runs of elements: whole rows where possible, otherwise positions.
  template <class Visit>
  std::uint32_t each_run(const Step& step, bool rows, Visit visit) {
    const Storage& out = storage(step.output);
    const std::uint32_t run = rows ? out.shape.width : 1;
    for (std::uint32_t y = 0; y < out.shape.height; ++y) {
      for (std::uint32_t x = 0; x < out.shape.width; x += run) visit(y, x);
    }
    return run * out.pixel;
  }

  void add_runs(Step& step) {
    const Storage& in = storage(step.input);
    const Storage& out = storage(step.output);
    const bool rows = in_rows({step.input, step.output});
    step.map.run = each_run(step, rows, [&](std::uint32_t y, std::uint32_t x) {
      step.spots.push_back({at(in, y, x), at(out, y, x)});
    });
  }

  Plan& plan_;
};

}  // namespace

Plan make_plan(Program program, const KernelTable& kernels) {
  Plan plan;
  plan.layout = make_layout(program, !kernels.planes_for_bytes);
  plan.program = std::move(program);
  plan.kernels = &kernels;
  plan.bit_kernels = &bits::kernels_like(kernels.isa);
  PlanMaker(plan).make();
  return plan;
}

}  // namespace rlcompress
