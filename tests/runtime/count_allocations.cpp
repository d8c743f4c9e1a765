// Counts what a call of the C API allocates: count_allocations IMAGE BATCH REUSE prints how often
// memory was asked for in a thousand calls after the first.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <vector>

#include "rlcompress.h"

static std::atomic<long> asked{0};

void* operator new(std::size_t size) {
  ++asked;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  ++asked;
  const std::size_t unit = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(unit, (size + unit - 1) / unit * unit)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  std::vector<std::uint8_t> image;
  std::FILE* file = std::fopen(argv[1], "rb");
  if (file == nullptr) return 2;
  for (int byte = 0; (byte = std::fgetc(file)) != EOF;) {
    image.push_back(static_cast<std::uint8_t>(byte));
  }
  std::fclose(file);
  const std::size_t batch = std::strtoul(argv[2], nullptr, 10);
  rlc_options options = {1, nullptr, std::atoi(argv[3])};
  rlc_engine* engine = rlc_load(image.data(), image.size(), &options, nullptr, 0);
  if (engine == nullptr || asked == 0) return 1;  // The library must use what is counted here.
  const bool bytes = rlc_observation_is_image(engine) != 0;
  std::vector<std::uint8_t> observations(rlc_observation_size(engine) * batch * 4, 0);
  std::vector<std::int64_t> actions(batch * (rlc_action_size(engine) + 1), 0);
  long before = 0;
  for (int call = 0; call <= 1000; ++call) {
    if (call == 1) before = asked;
    observations[static_cast<std::size_t>(call) % (bytes ? observations.size() / 4 : 1)] ^= 1;
    if (rlc_run(engine, observations.data(), bytes ? RLC_UINT8 : RLC_FLOAT32, batch, nullptr,
                actions.data(), nullptr) != RLC_OK) {
      return 1;
    }
  }
  std::printf("%ld\n", asked - before);
  rlc_free(engine);
  return 0;
}
