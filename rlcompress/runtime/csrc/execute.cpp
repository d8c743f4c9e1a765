#include "execute.h"

namespace rlcompress {
namespace {

// A float layer whose packing multiplies zeros.
void run_padded(const KernelTable& k, const PackedLinear& linear, const float* in, void* out,
                const Spot* spots, std::size_t count) {
  if (linear.packing == Packing::Columns) {
    k.columns(linear.columns, linear.epilogue, in, out, spots, count);
  } else {
    k.sweep_float(linear.sweep, linear.epilogue, in, out, spots, count);
  }
}

// The same on inputs of which some may not be finite: zero times infinity is not zero.
void run_checked(const Plan& plan, const Step& step, const float* in, void* out, const Spot* spots,
                 std::size_t count) {
  const KernelTable& k = *plan.kernels;
  const PackedLinear& linear = step.linear;
  if (!step.check_finite) return run_padded(k, linear, in, out, spots, count);
  const std::size_t elements = plan.layout.storages[step.input].elements;
  for (std::size_t s = 0; s < count; ++s) {
    if (k.all_finite(in + spots[s].in, elements)) {
      run_padded(k, linear, in, out, spots + s, 1);
    } else {
      k.rows_float(linear.rows, linear.epilogue, in, out, spots + s, 1);
    }
  }
}

void run_add(const Plan& plan, const Step& step, Workspace& workspace, std::size_t sample,
             const AddSpot* spots, std::size_t count) {
  const Storage& a = plan.layout.storages[step.input];
  const Storage& b = plan.layout.storages[step.second];
  const Storage& out = plan.layout.storages[step.output];
  if (out.quantised) {
    plan.kernels->add_bytes(step.add, step.epilogue, workspace.at<std::uint8_t>(a, sample),
                            workspace.at<std::uint8_t>(b, sample),
                            workspace.at<std::uint8_t>(out, sample), spots, count);
  } else {
    plan.kernels->add_floats(step.add, workspace.at<float>(a, sample),
                             workspace.at<float>(b, sample), workspace.at<float>(out, sample),
                             spots, count);
  }
}

void run_map(const Plan& plan, const Step& step, Workspace& workspace, std::size_t sample,
             const Spot* spots, std::size_t count) {
  const Storage& in = plan.layout.storages[step.input];
  void* out = workspace.at<void>(plan.layout.storages[step.output], sample);
  if (step.map_bytes) {
    plan.kernels->map_bytes(step.map, workspace.at<std::uint8_t>(in, sample), out, spots, count);
  } else {
    plan.kernels->map_floats(step.map, step.epilogue, workspace.at<float>(in, sample), out, spots,
                             count);
  }
}

}  // namespace

void run_pool(const Plan& plan, const Step& step, Workspace& workspace, std::size_t sample,
              const PoolSpot* spots, std::size_t count) {
  const Storage& in = plan.layout.storages[step.input];
  const Storage& out = plan.layout.storages[step.output];
  if (in.quantised) {
    plan.kernels->max_pool_bytes(step.pool, workspace.at<std::uint8_t>(in, sample),
                                 workspace.at<std::uint8_t>(out, sample), spots, count);
  } else {
    plan.kernels->max_pool_floats(step.pool, workspace.at<float>(in, sample),
                                  workspace.at<float>(out, sample), spots, count);
  }
}

void run_elements(const Plan& plan, const Step& step, Workspace& workspace, std::size_t sample,
                  std::size_t first, std::size_t count) {
  if (step.tag == OpTag::Add) {
    run_add(plan, step, workspace, sample, step.add_spots.data() + first, count);
  } else {
    run_map(plan, step, workspace, sample, step.spots.data() + first, count);
  }
}

void run_linear(const Plan& plan, const Step& step, Workspace& workspace, std::size_t sample,
                const Spot* spots, std::size_t count) {
  const KernelTable& k = *plan.kernels;
  const PackedLinear& linear = step.linear;
  const Storage& input = plan.layout.storages[step.input];
  void* out = workspace.at<void>(plan.layout.storages[step.output], sample);
  const auto* bytes = workspace.at<std::uint8_t>(input, sample);
  const auto* floats = workspace.at<float>(input, sample);
  switch (linear.packing) {
    case Packing::Rows:
      if (linear.integer) return k.rows_integer(linear.rows, linear.epilogue, bytes, out, spots, count);
      return k.rows_float(linear.rows, linear.epilogue, floats, out, spots, count);
    case Packing::Sweep:
      if (!linear.integer) return run_checked(plan, step, floats, out, spots, count);
      return k.sweep_integer(linear.sweep, linear.epilogue, bytes, out, spots, count);
    case Packing::Blocks:
      return k.blocks(linear.blocks, linear.epilogue, bytes, out, spots, count);
    case Packing::Columns:
      return run_checked(plan, step, floats, out, spots, count);
    case Packing::Planes:
      break;
  }
}

void run_planes(const Plan& plan, const Step& step, Workspace& workspace, std::size_t sample,
                const std::uint32_t* groups, std::size_t count) {
  const PackedLinear& linear = step.linear;
  const Storage& input = plan.layout.storages[step.input];
  float* planes = workspace.scratch() + step.planes_at;
  if (input.quantised) {
    plan.kernels->fill_planes_bytes(linear.planes, workspace.at<std::uint8_t>(input, sample), planes);
  } else {
    plan.kernels->fill_planes_floats(linear.planes, workspace.at<float>(input, sample), planes);
  }
  void* out = workspace.at<void>(plan.layout.storages[step.output], sample);
  plan.kernels->planes(linear.planes, linear.epilogue, planes, out, groups, count, linear.integer);
}

void run_bits(const Plan& plan, const Step& step, Workspace& workspace, std::size_t sample) {
  const Storage& in = plan.layout.storages[step.input];
  const Storage& out = plan.layout.storages[step.output];
  if (step.tag == OpTag::Encode) {
    plan.bit_kernels->encode(step.encoder, workspace.at<float>(in, sample),
                             workspace.at<std::uint64_t>(out, sample));
    return;
  }
  const auto* x = workspace.at<std::uint64_t>(in, sample);
  if (out.quantised) {
    plan.bit_kernels->fire(step.binary.layer, x, workspace.at<std::uint64_t>(out, sample));
  } else {
    bits::sums_as_floats(*plan.bit_kernels, step.binary.layer, x, workspace.at<float>(out, sample));
  }
}

void run_copies(const Plan& plan, const Step& step, Workspace& workspace, std::size_t sample) {
  const Storage& in = plan.layout.storages[step.input];
  const Storage& out = plan.layout.storages[step.output];
  if (in.quantised) {
    const auto* from = workspace.at<std::uint8_t>(in, sample);
    auto* to = workspace.at<std::uint8_t>(out, sample);
    for (const Spot& spot : step.spots) to[spot.out] = from[spot.in];
  } else {
    const auto* from = workspace.at<float>(in, sample);
    auto* to = workspace.at<float>(out, sample);
    for (const Spot& spot : step.spots) to[spot.out] = from[spot.in];
  }
}

void run_step(const Plan& plan, const Step& step, Workspace& workspace, std::size_t samples) {
  if (step.tag == OpTag::Dense) {
    return run_linear(plan, step, workspace, 0, step.spots.data(), samples);
  }
  for (std::size_t s = 0; s < samples; ++s) {
    switch (step.tag) {
      case OpTag::Conv:
        if (step.linear.packing == Packing::Planes) {
          run_planes(plan, step, workspace, s, step.groups.data(), step.groups.size());
        } else {
          run_linear(plan, step, workspace, s, step.spots.data(), step.spots.size());
        }
        break;
      case OpTag::MaxPool:
        run_pool(plan, step, workspace, s, step.pool_spots.data(), step.pool_spots.size());
        break;
      case OpTag::Add:
        run_elements(plan, step, workspace, s, 0, step.add_spots.size());
        break;
      case OpTag::Activation:
        run_elements(plan, step, workspace, s, 0, step.spots.size());
        break;
      case OpTag::Encode:
      case OpTag::BinaryDense:
        run_bits(plan, step, workspace, s);
        break;
      case OpTag::Flatten:
        run_copies(plan, step, workspace, s);
        break;
      case OpTag::Dense:
        break;
    }
  }
}

void run_steps(const Plan& plan, Workspace& workspace, std::size_t samples) {
  for (const Step& step : plan.steps) run_step(plan, step, workspace, samples);
}

}  // namespace rlcompress
