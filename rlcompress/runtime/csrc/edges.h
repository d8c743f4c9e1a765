// What lies before the first layer and after the last: observations into place, outputs to actions.
#pragma once

#include <cstdint>

#include "plan.h"
#include "workspace.h"

namespace rlcompress {

enum class ElementType : std::uint8_t { Uint8, Float32, Float64 };

std::size_t element_size(ElementType type);

// Puts one observation into the memory of the first storage. `scratch` is a workspace's. Returns the
// index of the first element that is not finite in float32, or the observation's size.
std::size_t place_observation(const Plan& plan, void* storage, float* scratch,
                              const void* observation, ElementType type);

std::size_t place_observation(const Plan& plan, Workspace& workspace, std::size_t sample,
                              const void* observation, ElementType type);

void read_outputs(const Plan& plan, Workspace& workspace, std::size_t sample, float* outputs);

// Actions (float per element, or one int64) from the raw outputs of `count` samples.
void act(const Plan& plan, const float* outputs, std::size_t count, void* actions);

}  // namespace rlcompress
