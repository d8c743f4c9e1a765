// Whole episodes of every network of a population, and single steps for tests.
#pragma once

#include <string>

#include "bits.h"

namespace rlcompress::bits {

// How outputs become one of a number of actions: the first of the largest, or how many are positive.
enum class Choice : std::uint8_t { Argmax, Count };

struct Task {
  const char* name;
  std::size_t state, numbers, actions;
  void (*episodes)(const struct Rollout&, std::size_t first, std::size_t count);
  void (*step)(double* state, std::size_t action, double* reward, bool* done);
};

// `starts` are `episodes` states that all networks share, or so many for each of them. Returns and
// lengths are (networks, episodes).
struct Rollout {
  const Kernels* kernels = nullptr;
  const Networks* networks = nullptr;
  const Encoder* encoder = nullptr;
  Choice choice = Choice::Argmax;
  const double* starts = nullptr;
  bool shared = true;
  std::size_t episodes = 0;
  std::size_t most_steps = 0;
  double* returns = nullptr;
  std::int64_t* lengths = nullptr;
};

// Throws std::invalid_argument where there is no such task.
const Task& task(const std::string& name);
std::vector<std::string> tasks();

}  // namespace rlcompress::bits
