// Frame-to-frame reuse: what one environment's last observation led to, and how little of it the
// next one changes. Results are those of running everything, bit for bit.
#pragma once

#include <cstdint>
#include <vector>

#include "change_map.h"
#include "edges.h"
#include "plan.h"
#include "workspace.h"

namespace rlcompress {

class ReuseState {
 public:
  explicit ReuseState(const Plan& plan);

  // Runs one observation; afterwards the workspace holds all its values. Returns what
  // place_observation does.
  std::size_t run(const Plan& plan, const void* observation, ElementType type);

  Workspace& workspace() { return workspace_; }

 private:
  std::size_t start(const Plan& plan, const void* observation, ElementType type);
  void find_changes(const Plan& plan, const std::uint8_t* observation);
  void run_step_on_changes(const Plan& plan, const Step& step);
  void run_windows(const Plan& plan, const Step& step);
  void run_positions(const Plan& plan, const Step& step, std::size_t count);
  void run_rows(const Plan& plan, const Step& step);
  void run_all(const Plan& plan, const Step& step);

  Workspace workspace_;
  bool valid_ = false;  // whether the workspace holds the values of the last observation
  ElementType type_ = ElementType::Float32;
  unsigned skip_ = 0;  // frames to run as a whole
  unsigned patience_ = 0;  // how many that were last time
  double spent_ = 0;  // cycles, as the plan estimates them
  std::vector<std::uint8_t> last_;  // the last observation, if it is not an image
  Aligned<std::uint8_t> next_;  // an image, placed but not yet compared
  std::vector<ChangeMap> changes_;  // of every storage
  // Scratch memory.
  std::vector<std::uint64_t> columns_;
  std::vector<std::uint32_t> list_, groups_;
  std::vector<Spot> spots_;
  std::vector<PoolSpot> pool_spots_;
  Aligned<std::uint8_t> before_;  // outputs of the last frame at the positions of the list
  std::vector<std::uint8_t> changed_;
};

}  // namespace rlcompress
