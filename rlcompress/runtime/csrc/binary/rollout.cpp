#include "rollout.h"

#include <stdexcept>

#include "environments.h"

namespace rlcompress::bits {
namespace {

class Player {
 public:
  explicit Player(const Rollout& rollout)
      : rollout_(rollout),
        observed_(words_of(rollout.encoder->bits())),
        scratch_(rollout.networks->scratch_words()),
        fired_(words_of(rollout.networks->outputs())),
        sums_(rollout.networks->outputs()) {}

  std::size_t act(std::size_t index, const float* numbers) {
    const Rollout& r = rollout_;
    r.kernels->encode(*r.encoder, numbers, observed_.data());
    if (r.choice == Choice::Count) {
      r.networks->fire(*r.kernels, index, observed_.data(), fired_.data(), scratch_.data());
      std::size_t count = 0;
      for (std::uint64_t word : fired_) {
        for (; word != 0; word &= word - 1) ++count;
      }
      return count;
    }
    r.networks->run(*r.kernels, index, observed_.data(), sums_.data(), scratch_.data());
    std::size_t best = 0;
    for (std::size_t i = 1; i < sums_.size(); ++i) {
      if (sums_[i] > sums_[best]) best = i;
    }
    return best;
  }

 private:
  const Rollout& rollout_;
  Aligned<std::uint64_t> observed_, scratch_, fired_;
  std::vector<std::int32_t> sums_;
};

template <class Environment>
void play(const Rollout& rollout, std::size_t first, std::size_t count) {
  Player player(rollout);
  double state[Environment::kState];
  float numbers[Environment::kNumbers];
  for (std::size_t index = first; index < first + count; ++index) {
    for (std::size_t episode = 0; episode < rollout.episodes; ++episode) {
      const std::size_t place = (rollout.shared ? 0 : index * rollout.episodes) + episode;
      const double* start = rollout.starts + place * Environment::kState;
      for (std::size_t i = 0; i < Environment::kState; ++i) state[i] = start[i];
      double total = 0;
      std::size_t steps = 0;
      bool done = false;
      while (!done && steps < rollout.most_steps) {
        Environment::observe(state, numbers);
        const Outcome outcome = Environment::step(state, player.act(index, numbers));
        total += outcome.reward;
        done = outcome.done;
        ++steps;
      }
      rollout.returns[index * rollout.episodes + episode] = total;
      rollout.lengths[index * rollout.episodes + episode] = static_cast<std::int64_t>(steps);
    }
  }
}

template <class Environment>
void one_step(double* state, std::size_t action, double* reward, bool* done) {
  const Outcome outcome = Environment::step(state, action);
  *reward = outcome.reward;
  *done = outcome.done;
}

template <class Environment>
constexpr Task described() {
  return {Environment::kName,          Environment::kState, Environment::kNumbers,
          Environment::kActions,       play<Environment>,   one_step<Environment>};
}

constexpr Task kTasks[] = {described<CartPole>(), described<MountainCar>(), described<Acrobot>()};

}  // namespace

const Task& task(const std::string& name) {
  for (const Task& known : kTasks) {
    if (name == known.name) return known;
  }
  throw std::invalid_argument("there is no native " + name);
}

std::vector<std::string> tasks() {
  std::vector<std::string> names;
  for (const Task& known : kTasks) names.emplace_back(known.name);
  return names;
}

}  // namespace rlcompress::bits
