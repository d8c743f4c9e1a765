#include "plan.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace rlcompress::stack {
namespace {

// How each map lies: with the border that its reader needs, channels padded where vectors are stored.
std::vector<Map> lay_out(const PlanSpec& spec) {
  std::vector<Map> maps;
  for (std::size_t i = 0; i <= spec.stages.size(); ++i) {
    const Shape shape = i == 0 ? spec.frame : spec.stages[i - 1].out;
    const StageSpec* reader = i < spec.stages.size() ? &spec.stages[i] : nullptr;
    const bool pooled = reader != nullptr && (reader->kind == Kind::Max || reader->kind == Kind::Average);
    Map map = {shape, shape.channels, {0, 0}, 0};
    if (i > 0 || pooled) map.stride = round_up(shape.channels, kChannels);
    if (i > 0 && spec.stages[i - 1].kind == Kind::Linear) map.stride = round_up(shape.channels, 16);
    if (reader != nullptr && reader->kind != Kind::Linear) {
      map.border[0] = reader->window.padding[0];
      map.border[1] = reader->window.padding[1];
      if (reader->kind == Kind::Max) map.fill = -std::numeric_limits<float>::infinity();
    }
    maps.push_back(map);
  }
  return maps;
}

Aligned<float> buffer(const Map& map) {
  Aligned<float> floats(map.size() + kSlack, map.fill);
  std::fill(floats.end() - kSlack, floats.end(), 0.0F);
  for (std::size_t y = 0; y < map.shape.rows; ++y) {
    float* row = floats.data() + map.at(y, 0);
    std::fill(row, row + map.shape.columns * map.stride, 0.0F);
  }
  return floats;
}

// Bits of what a stage puts out: positions of a map, blocks of 16 of a linear stage.
Bits output_bits(const StageSpec& stage) {
  if (stage.kind == Kind::Linear) return Bits(1, (stage.out.channels + 15) / 16);
  return Bits(stage.out.rows, stage.out.columns);
}

}  // namespace

Plan::Plan(PlanSpec spec)
    : spec_(std::move(spec)), kernels_(kernels_for(spec_.isa)), maps_(lay_out(spec_)) {
  const std::size_t count = spec_.stages.size();
  convs_.resize(count);
  linears_.resize(count);
  pools_.resize(count);
  lags_.resize(spec_.lags > 1 ? spec_.lags : 0);
  counts_.assign(count + 1, 0);
  for (std::size_t i = 0; i < count; ++i) {
    const StageSpec& stage = spec_.stages[i];
    Tables tables;
    if (stage.kind != Kind::Linear) {
      const Map& in = maps_[i];
      const Map& out = maps_[i + 1];
      for (std::size_t y = 0; y < stage.out.rows; ++y) {
        for (std::size_t x = 0; x < stage.out.columns; ++x) {
          tables.in.push_back(static_cast<std::uint32_t>(y * stage.window.stride[0] * in.row() +
                                                         x * stage.window.stride[1] * in.stride));
          tables.out.push_back(static_cast<std::uint32_t>(out.at(y, x)));
        }
      }
    }
    tables_.push_back(std::move(tables));
    if (stage.kind == Kind::Max || stage.kind == Kind::Average) {
      pack_pool(stage, maps_[i], maps_[i + 1], pools_[i]);
    }
  }
  values_.resize(256);
  for (std::size_t i = 0; i < 256; ++i) values_[i] = static_cast<float>(i) / spec_.divisor;
  zeros_.assign(spec_.frame.columns, 0);
}

void Plan::load(const std::vector<Parameters>& parameters) {
  for (std::size_t i = 0; i < spec_.stages.size(); ++i) {
    const StageSpec& stage = spec_.stages[i];
    const Parameters& given = parameters[i];
    if (stage.kind == Kind::Linear) {
      pack_linear(kernels_, stage, given.weight, given.bias, linears_[i]);
      which_.resize(std::max(which_.size(), linears_[i].layer.channels + 16));
    } else if (stage.kind == Kind::Conv && i == 0 && spec_.lags > 1) {
      StageSpec part = stage;
      part.function = Function::None;
      const std::size_t channels = spec_.frame.channels;
      for (std::size_t lag = 0; lag < spec_.lags; ++lag) {
        pack_conv(kernels_, part, maps_[0], given.weight, spec_.lags * channels,
                  (spec_.lags - 1 - lag) * channels, nullptr, lags_[lag]);
      }
      sum_bias_.assign(round_up(stage.out.channels, 16), 0);
      if (given.bias != nullptr) {
        std::copy(given.bias, given.bias + stage.out.channels, sum_bias_.begin());
      }
      sum_ = {spec_.lags, maps_[1].size() + kSlack, maps_[1].stride, sum_bias_.data(), stage.function};
    } else if (stage.kind == Kind::Conv) {
      pack_conv(kernels_, stage, maps_[i], given.weight, stage.in.channels, 0, given.bias, convs_[i]);
    }
  }
  slots_.assign(spec_.slots, Slot());
}

Slot Plan::empty_slot() const {
  Slot slot;
  slot.raw.resize(spec_.frame.channels * spec_.frame.rows * spec_.frame.columns * (spec_.bytes ? 1 : 4));
  for (std::size_t lag = 0; lag < spec_.lags; ++lag) {
    slot.frames.push_back(buffer(maps_[0]));
    slot.changes.emplace_back(spec_.frame.rows, spec_.frame.columns);
  }
  if (spec_.lags > 1) slot.planes.assign(sum_.plane * spec_.lags, 0);
  for (std::size_t i = 0; i < spec_.stages.size(); ++i) {
    const StageSpec& stage = spec_.stages[i];
    slot.maps.push_back(buffer(maps_[i + 1]));
    slot.moved.push_back(output_bits(stage));
    slot.shares.emplace_back();
    slot.block_sums.emplace_back();
    if (stage.kind != Kind::Linear) {
      slot.todo.push_back(output_bits(stage));
      continue;
    }
    const LinearLayer& layer = linears_[i].layer;
    slot.todo.emplace_back(1, layer.positions);
    slot.shares.back().assign(layer.positions * layer.width, 0);
    slot.block_sums.back().assign((layer.positions + kBlock - 1) / kBlock * layer.width, 0);
  }
  return slot;
}

std::size_t Plan::outputs() const {
  const Shape& shape = spec_.stages.back().out;
  return shape.channels * shape.rows * shape.columns;
}

std::vector<std::uint8_t> Plan::mask(std::size_t stage, std::size_t slot) const {
  const Slot& kept = slots_[slot];
  if (kept.frames.empty()) return {};
  const Bits& bits = stage == 0 ? kept.changes[kept.newest] : kept.todo[stage - 1];
  std::vector<std::uint8_t> bytes(bits.rows() * bits.columns());
  for_each(bits, [&](std::size_t y, std::size_t x) { bytes[y * bits.columns() + x] = 1; });
  return bytes;
}

void Plan::activation(std::size_t stage, std::size_t slot, float* out) const {
  const Map& map = maps_[stage + 1];
  const float* from = slots_[slot].maps[stage].data();
  for (std::size_t y = 0; y < map.shape.rows; ++y) {
    for (std::size_t x = 0; x < map.shape.columns; ++x) {
      const float* position = from + map.at(y, x);
      for (std::size_t c = 0; c < map.shape.channels; ++c) {
        out[(c * map.shape.rows + y) * map.shape.columns + x] = position[c];
      }
    }
  }
}

void Plan::emit(const Slot& slot, float* out) const {
  const Map& map = maps_.back();
  if (map.shape.rows * map.shape.columns == 1) {
    std::copy_n(slot.maps.back().data() + map.at(0, 0), map.shape.channels, out);
    return;
  }
  activation(spec_.stages.size() - 1, static_cast<std::size_t>(&slot - slots_.data()), out);
}

}  // namespace rlcompress::stack
