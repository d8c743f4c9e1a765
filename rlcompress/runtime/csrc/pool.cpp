#include "pool.h"

#include <system_error>

#if defined(_WIN32)
#include <process.h>
#define RLC_GETPID _getpid
#else
#include <unistd.h>
#define RLC_GETPID getpid
#endif

namespace rlcompress {

ThreadPool::ThreadPool(std::size_t threads) : threads_(threads < 1 ? 1 : threads) {}

ThreadPool::~ThreadPool() {
  if (process_ != static_cast<long>(RLC_GETPID())) {
    // In a forked child the threads do not exist; all that can be done is to forget them.
    for (std::thread& worker : workers_) worker.detach();
    return;
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::start() {
  const long process = static_cast<long>(RLC_GETPID());
  if (process_ == process) return;
  for (std::thread& worker : workers_) worker.detach();
  workers_.clear();
  process_ = process;
  busy_ = 0;
  try {
    for (std::size_t i = 1; i < threads_; ++i) {
      workers_.emplace_back([this, seen = round_] { work(seen); });
    }
  } catch (const std::system_error&) {
    // No more threads to be had: those that there are share the work.
  }
}

void ThreadPool::run(Task task, void* context, std::size_t parts) {
  const std::unique_lock<std::mutex> user(users_, std::try_to_lock);
  if (!user.owns_lock() || threads_ == 1 || parts < 2) {
    for (std::size_t part = 0; part < parts; ++part) task(context, part);
    return;
  }
  start();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    task_ = task;
    context_ = context;
    parts_ = parts;
    next_ = 0;
    busy_ = workers_.size();
    ++round_;
  }
  wake_.notify_all();
  take_parts();
  std::unique_lock<std::mutex> lock(mutex_);
  done_.wait(lock, [this] { return busy_ == 0; });
}

void ThreadPool::take_parts() {
  for (std::size_t part = next_++; part < parts_; part = next_++) task_(context_, part);
}

void ThreadPool::work(std::uint64_t seen) {
  while (true) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return stop_ || round_ != seen; });
      if (stop_) return;
      seen = round_;
    }
    take_parts();
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--busy_ == 0) done_.notify_one();
  }
}

}  // namespace rlcompress
