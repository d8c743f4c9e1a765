#include "engine.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <utility>

#include "dispatch.h"
#include "execute.h"
#include "image.h"

namespace rlcompress {

// One batch on several threads, each of which takes part after part.
struct Engine::Shared {
  Engine* engine;
  const Batch* batch;
  std::size_t part;  // samples
  std::atomic<std::size_t> bad;

  static void run(void* context, std::size_t index) {
    Shared& shared = *static_cast<Shared*>(context);
    const Batch& whole = *shared.batch;
    const Program& program = shared.engine->program();
    const std::size_t first = index * shared.part;
    const std::size_t elements = first * program.observation.size;
    Batch batch = whole;
    batch.first = whole.first + first;
    batch.count = std::min(shared.part, whole.count - first);
    batch.observations = static_cast<const std::uint8_t*>(whole.observations) +
                         elements * element_size(whole.type);
    if (whole.outputs != nullptr) batch.outputs = whole.outputs + first * program.outputs();
    if (whole.actions != nullptr) {
      batch.actions =
          static_cast<std::uint8_t*>(whole.actions) + first * shared.engine->action_bytes();
    }
    const std::size_t found =
        shared.engine->reuse_ ? shared.engine->run_reusing(batch) : shared.engine->run_alone(batch);
    if (found == batch.count * program.observation.size) return;
    std::size_t bad = shared.bad;
    while (elements + found < bad && !shared.bad.compare_exchange_weak(bad, elements + found)) {
    }
  }
};

Engine::Engine(const std::uint8_t* image, std::size_t size, const Options& options)
    : plan_(make_plan(read_image(image, size), kernels_for(options.isa))),
      pool_(options.threads),
      break_even_(std::numeric_limits<std::size_t>::max()),
      reuse_(options.reuse) {
  give_back(std::make_unique<Workspace>(plan_, plan_.group));
  if (pool_.threads() > 1) measure_break_even();
}

Engine::~Engine() { delete spare_.load(); }

std::size_t Engine::action_bytes() const {
  const Action& action = plan_.program.action;
  return action.discrete() ? sizeof(std::int64_t) : action.size * sizeof(float);
}

std::unique_ptr<Workspace> Engine::borrow() {
  std::unique_ptr<Workspace> workspace(spare_.exchange(nullptr));
  if (workspace) return workspace;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!idle_.empty()) {
      workspace = std::move(idle_.back());
      idle_.pop_back();
      return workspace;
    }
  }
  return std::make_unique<Workspace>(plan_, plan_.group);
}

void Engine::give_back(std::unique_ptr<Workspace> workspace) {
  Workspace* none = nullptr;
  if (spare_.compare_exchange_strong(none, workspace.get())) {
    static_cast<void>(workspace.release());
    return;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  idle_.push_back(std::move(workspace));
}

std::size_t Engine::run_group(Workspace& workspace, const Batch& batch, std::size_t first,
                              std::size_t count) {
  const std::size_t size = plan_.program.observation.size;
  for (std::size_t s = 0; s < count; ++s) {
    const auto* from = static_cast<const std::uint8_t*>(batch.observations) +
                       (first + s) * size * element_size(batch.type);
    const std::size_t bad = place_observation(plan_, workspace, s, from, batch.type);
    if (bad != size) return (first + s) * size + bad;
  }
  run_steps(plan_, workspace, count);
  finish(workspace, batch, first, count);
  return batch.count * size;
}

// Outputs and actions of the workspace's first samples to rows `first` .. of the batch.
void Engine::finish(Workspace& workspace, const Batch& batch, std::size_t first,
                    std::size_t count) {
  const std::size_t size = plan_.output_at.size();
  float* raw = batch.outputs != nullptr ? batch.outputs + first * size : workspace.outputs();
  for (std::size_t s = 0; s < count; ++s) read_outputs(plan_, workspace, s, raw + s * size);
  if (batch.actions == nullptr) return;
  act(plan_, raw, count, static_cast<std::uint8_t*>(batch.actions) + first * action_bytes());
}

std::size_t Engine::run_reusing(const Batch& batch) {
  const std::size_t size = plan_.program.observation.size;
  for (std::size_t i = 0; i < batch.count; ++i) {
    ReuseState& state = *states_[batch.first + i];
    const auto* from = static_cast<const std::uint8_t*>(batch.observations) +
                       i * size * element_size(batch.type);
    const std::size_t bad = state.run(plan_, from, batch.type);
    if (bad != size) return i * size + bad;
    finish(state.workspace(), batch, i, 1);
  }
  return batch.count * size;
}

std::size_t Engine::run_alone(const Batch& batch) {
  const std::size_t all = batch.count * plan_.program.observation.size;
  std::unique_ptr<Workspace> workspace = borrow();
  std::size_t result = all;
  for (std::size_t first = 0; first < batch.count && result == all; first += plan_.group) {
    result = run_group(*workspace, batch, first, std::min(plan_.group, batch.count - first));
  }
  give_back(std::move(workspace));
  return result;
}

std::size_t Engine::run_shared(const Batch& batch) {
  const std::size_t all = batch.count * plan_.program.observation.size;
  // A few parts per thread even out what the machine does beside us.
  const std::size_t wanted = (batch.count + pool_.threads() * 4 - 1) / (pool_.threads() * 4);
  const std::size_t part = round_up(wanted, plan_.group);
  Shared shared{this, &batch, part, {all}};
  pool_.run(&Shared::run, &shared, (batch.count + part - 1) / part);
  return shared.bad;
}

std::size_t Engine::run(const Batch& batch) {
  if (reuse_) {
    const std::lock_guard<std::mutex> lock(reuse_mutex_);
    while (states_.size() < batch.count) states_.push_back(std::make_unique<ReuseState>(plan_));
    return batch.count >= break_even_ ? run_shared(batch) : run_reusing(batch);
  }
  return batch.count >= break_even_ ? run_shared(batch) : run_alone(batch);
}

void Engine::measure_break_even() {
  using Clock = std::chrono::steady_clock;
  const Program& p = plan_.program;
  const ElementType type = p.observation.image ? ElementType::Uint8 : ElementType::Float32;
  const std::vector<std::uint64_t> zeros(p.observation.size * plan_.group, 0);
  std::vector<float> outputs(p.outputs() * plan_.group);
  const Batch batch = {0, zeros.data(), type, plan_.group, outputs.data(), nullptr};
  double sample_ns = 1e9;
  double pool_ns = 1e9;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const auto start = Clock::now();
    run_alone(batch);
    const auto between = Clock::now();
    pool_.run([](void*, std::size_t) {}, nullptr, pool_.threads() * 4);
    const auto end = Clock::now();
    const std::chrono::duration<double, std::nano> ran = between - start;
    const std::chrono::duration<double, std::nano> shared = end - between;
    sample_ns = std::min(sample_ns, ran.count() / static_cast<double>(plan_.group));
    pool_ns = std::min(pool_ns, shared.count());
  }
  // With t threads n samples take n * sample / t + pool: worth it from twice the even point on.
  const double saved = sample_ns * (1.0 - 1.0 / static_cast<double>(pool_.threads()));
  break_even_ = static_cast<std::size_t>(2.0 * pool_ns / saved) + 2;
}

}  // namespace rlcompress
