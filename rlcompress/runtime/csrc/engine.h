// The engine as its bindings see it: image in, actions out.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "edges.h"
#include "plan.h"
#include "pool.h"
#include "reuse.h"
#include "workspace.h"

namespace rlcompress {

struct Options {
  std::size_t threads = 1;
  std::string isa = "auto";
  bool reuse = false;
};

struct Batch {
  std::size_t first = 0;  // number of its first row, where it is part of a larger one
  const void* observations = nullptr;  // count observations, one after the other
  ElementType type = ElementType::Float32;
  std::size_t count = 0;
  float* outputs = nullptr;  // count x outputs, or null
  void* actions = nullptr;  // count x action_bytes, or null
};

class Engine {
 public:
  // Throws ImageError or std::invalid_argument.
  Engine(const std::uint8_t* image, std::size_t size, const Options& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const Plan& plan() const { return plan_; }
  const Program& program() const { return plan_.program; }
  const char* isa() const { return plan_.kernels->isa; }
  std::size_t action_bytes() const;
  // The smallest batch that several threads share.
  std::size_t break_even() const { return break_even_; }

  // Any number of threads may call this at once. Returns the index (over the whole batch) of the
  // first element that is not finite, or the number of elements if all are.
  std::size_t run(const Batch& batch);

 private:
  struct Shared;

  std::size_t run_alone(const Batch& batch);
  std::size_t run_shared(const Batch& batch);
  std::size_t run_reusing(const Batch& batch);
  std::size_t run_group(Workspace& workspace, const Batch& batch, std::size_t first,
                        std::size_t count);
  std::unique_ptr<Workspace> borrow();
  void give_back(std::unique_ptr<Workspace> workspace);
  void finish(Workspace& workspace, const Batch& batch, std::size_t first, std::size_t count);
  void measure_break_even();

  Plan plan_;
  ThreadPool pool_;
  std::size_t break_even_;
  std::atomic<Workspace*> spare_{nullptr};  // the one that the last call used
  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace>> idle_;
  const bool reuse_;
  std::mutex reuse_mutex_;
  std::vector<std::unique_ptr<ReuseState>> states_;  // one for each row of a batch
};

}  // namespace rlcompress
