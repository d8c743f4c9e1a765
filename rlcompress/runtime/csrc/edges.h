// What lies before the first layer and after the last: observations into place, outputs to actions.
#pragma once

#include <cstdint>

#include "plan.h"
#include "workspace.h"

namespace rlcompress {

enum class ElementType : std::uint8_t { Uint8, Float32, Float64 };

std::size_t element_size(ElementType type);

// Puts one observation into place. Returns the index of its first element that is not finite in
// float32, or the observation's size.
std::size_t place_observation(const Plan& plan, Workspace& workspace, std::size_t sample,
                              const void* observation, ElementType type);

// Puts one row of an image observation into place.
void place_image_row(const Plan& plan, Workspace& workspace, std::size_t sample,
                     const std::uint8_t* observation, std::size_t y);

void read_outputs(const Plan& plan, Workspace& workspace, std::size_t sample, float* outputs);

// One action (float per element, or one int64) from one sample's raw outputs.
void act(const Plan& plan, const float* outputs, void* action);

}  // namespace rlcompress
