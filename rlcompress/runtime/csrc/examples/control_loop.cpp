// A control loop without Python: loads an engine image, then reads observations as raw bytes from
// standard input and writes raw outputs (floats) and actions to standard output.
//
//     control_loop actor.rlci [isa] < observations.bin > results.bin
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "rlcompress.h"

namespace {

std::vector<unsigned char> read_file(const char* path) {
  std::vector<unsigned char> bytes;
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return bytes;
  unsigned char part[65536];
  for (std::size_t size = 0; (size = std::fread(part, 1, sizeof part, file)) > 0;) {
    bytes.insert(bytes.end(), part, part + size);
  }
  std::fclose(file);
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s actor.rlci [isa] < observations > results\n", argv[0]);
    return 2;
  }
  const std::vector<unsigned char> image = read_file(argv[1]);
  const rlc_options options = {1, argc > 2 ? argv[2] : nullptr, 0};
  char error[256];
  rlc_engine* engine = rlc_load(image.data(), image.size(), &options, error, sizeof error);
  if (engine == nullptr) {
    std::fprintf(stderr, "%s: %s\n", argv[1], error);
    return 1;
  }
  std::fprintf(stderr, "running on %s\n", rlc_isa(engine));
  const bool is_image = rlc_observation_is_image(engine) != 0;
  const bool discrete = rlc_action_is_discrete(engine) != 0;
  std::vector<std::uint8_t> pixels(is_image ? rlc_observation_size(engine) : 0);
  std::vector<float> numbers(is_image ? 0 : rlc_observation_size(engine));
  std::vector<float> outputs(rlc_output_size(engine));
  std::vector<float> forces(rlc_action_size(engine));
  std::int64_t choice = 0;
  void* observation = is_image ? static_cast<void*>(pixels.data()) : numbers.data();
  void* action = discrete ? static_cast<void*>(&choice) : forces.data();
  const std::size_t observation_bytes = pixels.size() + numbers.size() * sizeof(float);
  const std::size_t action_bytes = discrete ? sizeof choice : forces.size() * sizeof(float);

  int status = 0;
  while (std::fread(observation, observation_bytes, 1, stdin) == 1) {
    std::size_t index = 0;
    const rlc_status result = rlc_run(engine, observation, is_image ? RLC_UINT8 : RLC_FLOAT32, 1,
                                      outputs.data(), action, &index);
    if (result != RLC_OK) {
      std::fprintf(stderr, "observation refused (status %d, element %zu)\n", result, index);
      status = 1;
      break;
    }
    std::fwrite(outputs.data(), sizeof(float), outputs.size(), stdout);
    std::fwrite(action, action_bytes, 1, stdout);
  }
  rlc_free(engine);
  return status;
}
