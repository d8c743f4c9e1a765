// Random float32 stacks on random films: fuzz_stack ISA COUNT SEED. With reuse and without, outputs have
// to be the same bits; and every stage's map that of the definition in double precision, nearly.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "../stack/plan.h"

using namespace rlcompress::stack;

namespace {

struct Random {
  std::mt19937_64 engine;
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(engine() % end); }
  std::size_t between(std::size_t low, std::size_t high) { return low + below(high - low + 1); }
  float number() { return static_cast<float>(static_cast<double>(below(2001)) / 1000 - 1); }
};

struct Network {
  PlanSpec spec = {};
  std::vector<std::vector<float>> weights;
  std::vector<std::vector<float>> biases;
};

std::size_t size_of(const Shape& shape) { return shape.channels * shape.rows * shape.columns; }

void add_parameters(Random& random, std::size_t weights, std::size_t biases, Network& net) {
  std::vector<float> values(weights);
  // Sums stay small: the slope of a tanh between large ones would enlarge rounding errors.
  const float inputs = static_cast<float>(weights) / static_cast<float>(std::max<std::size_t>(biases, 1));
  for (float& value : values) value = random.number() / std::sqrt(inputs);
  net.weights.push_back(values);
  values.resize(random.below(3) == 0 ? 0 : biases);
  for (float& value : values) value = random.number();
  net.biases.push_back(values);
}

void add_map(Random& random, Shape& shape, Network& net) {
  StageSpec stage = {};
  const bool first = net.spec.stages.empty();
  stage.kind = first || random.below(3) != 0 ? Kind::Conv : random.below(2) != 0 ? Kind::Max : Kind::Average;
  stage.function = static_cast<Function>(random.below(3));
  stage.in = stage.out = shape;
  const bool conv = stage.kind == Kind::Conv;
  const std::size_t side[] = {shape.rows, shape.columns};
  std::size_t out[2];
  for (std::size_t a = 0; a < 2; ++a) {
    const std::size_t kernel = random.between(1, 4);
    stage.window.kernel[a] = kernel;
    stage.window.stride[a] = random.between(1, 5);
    stage.window.padding[a] = conv ? random.below(5) : random.below(kernel / 2 + 1);
    stage.window.dilation[a] = conv ? random.between(1, 2) : 1;
    const std::size_t extent = stage.window.dilation[a] * (kernel - 1) + 1;
    if (side[a] + 2 * stage.window.padding[a] < extent) return;
    out[a] = (side[a] + 2 * stage.window.padding[a] - extent) / stage.window.stride[a] + 1;
  }
  stage.out = {conv ? random.between(1, 44) : shape.channels, out[0], out[1]};
  const std::size_t area = stage.window.kernel[0] * stage.window.kernel[1];
  const std::size_t frames = first ? net.spec.lags : 1;
  add_parameters(random, conv ? stage.out.channels * shape.channels * frames * area : 0,
                 conv ? stage.out.channels : 0, net);
  net.spec.stages.push_back(stage);
  shape = stage.out;
}

Network network(Random& random, const std::string& isa) {
  Network net;
  net.spec.slots = 1;
  net.spec.bytes = random.below(2) != 0;
  net.spec.lags = random.below(4) == 0 ? 3 : 1;
  net.spec.repeat = random.below(2) != 0;
  net.spec.divisor = 64;
  net.spec.isa = isa;
  Shape shape = {random.between(1, 3), random.between(1, 12), random.between(1, 70)};
  net.spec.frame = shape;
  while (net.spec.stages.empty()) add_map(random, shape, net);
  for (std::size_t i = random.below(3); i > 0; --i) add_map(random, shape, net);
  for (std::size_t i = random.below(3); i > 0; --i) {
    StageSpec stage = {Kind::Linear, static_cast<Function>(random.below(3)), shape, {}, {}};
    stage.out = {random.between(1, 70), 1, 1};
    add_parameters(random, stage.out.channels * size_of(shape), stage.out.channels, net);
    net.spec.stages.push_back(stage);
    shape = stage.out;
  }
  return net;
}

double applied(Function function, double x) {
  return function == Function::Relu ? std::max(x, 0.0) : function == Function::Tanh ? std::tanh(x) : x;
}

// One output of a stage, from the definition; maps are [channel][row][column].
double output(const Network& net, std::size_t number, const std::vector<double>& in, std::size_t c,
              std::size_t y, std::size_t x) {
  const StageSpec& stage = net.spec.stages[number];
  const std::vector<float>& weights = net.weights[number];
  const double bias = net.biases[number].empty() ? 0 : net.biases[number][c];
  if (stage.kind == Kind::Linear) {
    double sum = bias;
    for (std::size_t i = 0; i < in.size(); ++i) sum += in[i] * weights[c * in.size() + i];
    return applied(stage.function, sum);
  }
  const Window& w = stage.window;
  const bool conv = stage.kind == Kind::Conv;
  double sum = conv ? bias : 0;
  double most = -std::numeric_limits<double>::infinity();
  for (std::size_t k = conv ? 0 : c; k < (conv ? stage.in.channels : c + 1); ++k) {
    for (std::size_t i = 0; i < w.kernel[0]; ++i) {
      for (std::size_t j = 0; j < w.kernel[1]; ++j) {
        const std::size_t row = y * w.stride[0] + i * w.dilation[0] - w.padding[0];  // may wrap around
        const std::size_t column = x * w.stride[1] + j * w.dilation[1] - w.padding[1];
        if (row >= stage.in.rows || column >= stage.in.columns) continue;
        const double value = in[(k * stage.in.rows + row) * stage.in.columns + column];
        const std::size_t at = ((c * stage.in.channels + k) * w.kernel[0] + i) * w.kernel[1] + j;
        sum += conv ? value * weights[at] : value;
        most = std::max(most, value);
      }
    }
  }
  if (stage.kind == Kind::Average) sum /= static_cast<double>(w.kernel[0] * w.kernel[1]);
  return applied(stage.function, stage.kind == Kind::Max ? most : sum);
}

// How far the plan's maps lie from the definition's, in parts of their largest value.
double deviation(const Network& net, const Plan& plan, std::vector<double> map) {
  double worst = 0;
  for (std::size_t number = 0; number < net.spec.stages.size(); ++number) {
    const Shape& shape = net.spec.stages[number].out;
    std::vector<double> next;
    double largest = 1;
    for (std::size_t i = 0; i < size_of(shape); ++i) {
      const std::size_t area = shape.rows * shape.columns;
      next.push_back(output(net, number, map, i / area, i % area / shape.columns, i % shape.columns));
      largest = std::max(largest, std::fabs(next.back()));
    }
    std::vector<float> found(next.size());
    plan.activation(number, 0, found.data());
    for (std::size_t i = 0; i < found.size(); ++i) {
      worst = std::max(worst, std::fabs(found[i] - next[i]) / largest);
    }
    map = next;
  }
  return worst;
}

Plan loaded(const Network& net, bool reuse) {
  PlanSpec spec = net.spec;
  spec.reuse = reuse;
  Plan plan(spec);
  std::vector<Parameters> parameters;
  for (std::size_t i = 0; i < net.weights.size(); ++i) {
    parameters.push_back({net.weights[i].data(), net.biases[i].empty() ? nullptr : net.biases[i].data()});
  }
  plan.load(parameters);
  return plan;
}

void change(Random& random, std::vector<std::uint8_t>& frame) {
  const std::size_t kind = random.below(4);  // 0: nothing
  const std::size_t count = kind == 3 ? frame.size() : kind * kind;
  for (std::size_t i = 0; i < count; ++i) {
    frame[kind == 3 ? i : random.below(frame.size())] = static_cast<std::uint8_t>(random.below(256));
  }
}

bool holds(Random& random, const std::string& isa) {
  const Network net = network(random, isa);
  Plan reusing = loaded(net, true);
  Plan full = loaded(net, false);
  std::vector<std::uint8_t> frame(size_of(net.spec.frame));
  std::vector<float> a(full.outputs());
  std::vector<float> b(a.size());
  for (int step = 0; step < 5; ++step) {
    change(random, frame);
    const std::vector<float> floats(frame.begin(), frame.end());
    const void* given = net.spec.bytes ? static_cast<const void*>(frame.data()) : floats.data();
    const std::size_t slot = 0;
    reusing.run(given, &slot, 1, nullptr, a.data());
    full.run(given, &slot, 1, nullptr, b.data());
    if (std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) != 0) {
      std::fprintf(stderr, "step %d: reuse gives other bits\n", step);
      return false;
    }
    if (net.spec.lags > 1) continue;
    std::vector<double> pixels;
    for (const std::uint8_t byte : frame) pixels.push_back(byte / 64.0);
    const double far = deviation(net, reusing, pixels);
    if (!(far < 2e-5)) {
      std::fprintf(stderr, "step %d: off by %g of the largest\n", step, far);
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: fuzz_stack ISA COUNT SEED\n");
    return 2;
  }
  const unsigned long count = std::strtoul(argv[2], nullptr, 10);
  const unsigned long seed = std::strtoul(argv[3], nullptr, 10);
  for (unsigned long i = 0; i < count; ++i) {
    Random random{std::mt19937_64(seed + i)};
    if (!holds(random, argv[1])) {
      std::fprintf(stderr, "seed %lu on %s\n", seed + i, argv[1]);
      return 1;
    }
  }
  std::printf("%lu stacks on %s\n", count, kernels_for(argv[1]).isa);
  return 0;
}
