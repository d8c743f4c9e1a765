// Runs networks of single bits in an instruction set that this machine has, on numbers from the
// standard input: sizes, widths, weights as bytes, biases, samples; sums go to the standard output.
//
//     run_networks <isa>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "binary/bits.h"

namespace {

template <class T>
std::vector<T> read(std::size_t count) {
  std::vector<T> found(count);
  if (std::fread(found.data(), sizeof(T), count, stdin) != count) std::abort();
  return found;
}

}  // namespace

int main(int, char** arguments) {
  using namespace rlcompress::bits;
  const Kernels& kernels = kernels_for(arguments[1]);
  for (;;) {
    std::uint64_t sizes[2];  // layers, samples
    if (std::fread(sizes, sizeof sizes, 1, stdin) != 1) return 0;
    const auto widths = read<std::uint64_t>(sizes[0] + 1);
    Networks networks({widths.begin(), widths.end()}, 1);
    const auto weights = read<std::uint8_t>(networks.weights());
    const auto biases = read<std::int32_t>(networks.biases());
    networks.set(0, weights.data(), biases.data());
    const auto x = read<std::uint64_t>(networks.input_words() * sizes[1]);
    std::vector<std::int32_t> each(networks.outputs() * sizes[1]), together(each.size());
    std::vector<std::uint64_t> scratch(networks.scratch_words());
    networks.run_batch(kernels, 0, x.data(), together.data(), sizes[1]);
    for (std::size_t s = 0; s < sizes[1]; ++s) {
      networks.run(kernels, 0, x.data() + s * networks.input_words(),
                   each.data() + s * networks.outputs(), scratch.data());
    }
    std::fwrite(each.data(), sizeof each[0], each.size(), stdout);
    std::fwrite(together.data(), sizeof together[0], together.size(), stdout);
  }
}
