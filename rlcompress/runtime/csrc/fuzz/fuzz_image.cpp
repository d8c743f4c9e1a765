// Loads damaged images and runs whatever survives validation. Built with sanitizers this must find
// nothing.
//
//     fuzz_image <mutations> <seed> image...      a fuzzer of its own, deterministic
//
// With -DRLC_LIBFUZZER (clang, -fsanitize=fuzzer) it is a libFuzzer target instead.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "rlcompress.h"

namespace {

// Runs are limited to what takes no time, loads are not.
constexpr std::size_t kMostElements = 1 << 16;

bool load_and_run(const std::uint8_t* data, std::size_t size, unsigned choice) {
  rlc_options options = {1, nullptr, static_cast<int>(choice % 2)};
  if (choice / 2 % 3 == 1) options.isa = "portable";
  char error[64];
  rlc_engine* engine = rlc_load(data, size, &options, error, sizeof error);
  if (engine == nullptr) return false;
  const std::size_t elements = rlc_observation_size(engine);
  if (elements <= kMostElements) {
    constexpr std::size_t count = 3;
    std::vector<double> memory(elements * count);
    auto* bytes = reinterpret_cast<std::uint8_t*>(memory.data());
    const bool image = rlc_observation_is_image(engine) != 0;
    if (image) {
      for (std::size_t i = 0; i < elements * count; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
    }
    std::vector<float> outputs(rlc_output_size(engine) * count);
    std::vector<std::int64_t> actions((rlc_action_size(engine) + 1) * count);
    for (int repeat = 0; repeat < 2; ++repeat) {
      rlc_run(engine, memory.data(), image ? RLC_UINT8 : RLC_FLOAT64, count, outputs.data(),
              actions.data(), nullptr);
      bytes[0] ^= 1;
    }
  }
  rlc_free(engine);
  return true;
}

}  // namespace

#if defined(RLC_LIBFUZZER)

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  load_and_run(data, size, size > 40 ? data[40] : 0);
  return 0;
}

#else

namespace {

struct Random {
  std::uint64_t state;
  std::uint32_t next() {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<std::uint32_t>(state >> 33);
  }
  std::size_t below(std::size_t limit) { return next() % limit; }
};

void put(std::vector<std::uint8_t>& bytes, std::size_t at, std::uint32_t word) {
  for (std::size_t i = 0; i < 4 && at + i < bytes.size(); ++i) {
    bytes[at + i] = static_cast<std::uint8_t>(word >> (8 * i));
  }
}

// Most fields are words, so most mutations are of words.
void mutate(std::vector<std::uint8_t>& bytes, Random& random) {
  static const std::uint32_t words[] = {0,          1,          2,          3,         5,
                                        15,         16,         17,         64,        255,
                                        256,        65535,      65536,      1U << 24,  0x7FFFFFFFU,
                                        0x80000000U, 0xFFFFFFFFU, 0x7F800000U, 0x7FC00000U};
  constexpr std::size_t known = sizeof words / sizeof words[0];
  for (std::size_t n = 1 + random.below(3); n > 0 && !bytes.empty(); --n) {
    // The head of the file and of its ops holds the structure: look there more often.
    const std::size_t span = random.below(2) == 0 ? bytes.size() : bytes.size() / 8 + 1;
    const std::size_t at = random.below(span);
    switch (random.below(6)) {
      case 0:
        bytes[at] ^= static_cast<std::uint8_t>(1U << random.below(8));
        break;
      case 1:
        put(bytes, at / 4 * 4, words[random.below(known)]);
        break;
      case 2:
        put(bytes, at / 4 * 4, random.next() % 300);
        break;
      case 3:
        bytes[at] = static_cast<std::uint8_t>(random.next());
        break;
      case 4:
        bytes.resize(random.below(bytes.size() + 1));
        break;
      default:
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), 4,
                     static_cast<std::uint8_t>(random.next()));
    }
  }
}

std::vector<std::uint8_t> read_file(const char* path) {
  std::vector<std::uint8_t> bytes;
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return bytes;
  for (int byte = 0; (byte = std::fgetc(file)) != EOF;) {
    bytes.push_back(static_cast<std::uint8_t>(byte));
  }
  std::fclose(file);
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s mutations seed image...\n", argv[0]);
    return 2;
  }
  const unsigned long mutations = std::strtoul(argv[1], nullptr, 10);
  Random random{std::strtoull(argv[2], nullptr, 10)};
  std::vector<std::vector<std::uint8_t>> images;
  for (int i = 3; i < argc; ++i) {
    images.push_back(read_file(argv[i]));
    if (!load_and_run(images.back().data(), images.back().size(), 0)) {
      std::fprintf(stderr, "%s is not a valid image\n", argv[i]);
      return 1;
    }
  }
  unsigned long accepted = 0;
  for (unsigned long i = 0; i < mutations; ++i) {
    std::vector<std::uint8_t> bytes = images[random.below(images.size())];
    mutate(bytes, random);
    // A copy of exactly this size, so that a sanitizer sees reads beyond the end.
    const std::vector<std::uint8_t> exact(bytes);
    accepted += load_and_run(exact.data(), exact.size(), random.next()) ? 1 : 0;
  }
  std::printf("%lu mutations, %lu accepted\n", mutations, accepted);
  return 0;
}

#endif
