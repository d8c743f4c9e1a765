// Threads that wait for batches; knows nothing of what they compute.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace rlcompress {

class ThreadPool {
 public:
  using Task = void (*)(void* context, std::size_t part);

  // The caller counts as one of the threads.
  explicit ThreadPool(std::size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t threads() const { return threads_; }

  // Runs task(context, part) for all parts; returns when all are done. When another caller is using
  // the pool, the calling thread does everything itself.
  void run(Task task, void* context, std::size_t parts);

 private:
  void start();
  void work(std::uint64_t seen);
  void take_parts();

  std::size_t threads_;
  std::vector<std::thread> workers_;
  long process_ = 0;  // threads do not survive a fork
  std::mutex users_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::uint64_t round_ = 0;
  std::size_t busy_ = 0;
  bool stop_ = false;
  Task task_ = nullptr;
  void* context_ = nullptr;
  std::size_t parts_ = 0;
  std::atomic<std::size_t> next_{0};
};

}  // namespace rlcompress
