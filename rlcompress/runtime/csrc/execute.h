// Runs a plan's steps on samples whose observations are already in place.
#pragma once

#include "plan.h"
#include "workspace.h"

namespace rlcompress {

void run_step(const Plan& plan, const Step& step, Workspace& workspace, std::size_t samples);

// All steps on the first `samples` samples of the workspace.
void run_steps(const Plan& plan, Workspace& workspace, std::size_t samples);

// A dense layer or convolution on some of its positions of one sample (a dense layer has one).
void run_linear(const Plan& plan, const Step& step, Workspace& workspace, std::size_t sample,
                const Spot* spots, std::size_t count);

// A convolution packed as planes; `groups` lists groups of lanes.
void run_planes(const Plan& plan, const Step& step, Workspace& workspace, std::size_t sample,
                const std::uint32_t* groups, std::size_t count);

// A max pool on some of its positions.
void run_pool(const Plan& plan, const Step& step, Workspace& workspace, std::size_t sample,
              const PoolSpot* spots, std::size_t count);

// Some of the runs of an element-wise op.
void run_elements(const Plan& plan, const Step& step, Workspace& workspace, std::size_t sample,
                  std::size_t first, std::size_t count);

}  // namespace rlcompress
