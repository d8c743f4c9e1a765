from collections.abc import Callable
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from rlcompress.evaluation.rollout import (
    Episode,
    Evaluation,
    evaluate,
    observation_stream,
    record_observations,
    select_golden,
)
from rlcompress.sb3.environments import describe, make_evaluation_env


class Countdown(gymnasium.Env[Any, Any]):
    """Episodes of a length drawn from the seed; rewards of 0.1, and of 1 for the right action."""

    observation_space = spaces.Box(0, 100, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.left = int(self.np_random.integers(1, 30))
        return self._observation(), {}

    def step(self, action: Any) -> Any:
        self.left -= 1
        reward = 0.1 + float(action == self.left % 2)
        return self._observation(), reward, self.left == 0, False, {}

    def _observation(self) -> np.ndarray:
        return np.array([self.left, self.left % 2], np.float32)


gymnasium.register("rollout/Countdown-v0", entry_point=Countdown)
COUNTDOWN = "rollout/Countdown-v0"


class Always:
    """A policy that takes one action, and notes what it is asked."""

    def __init__(self, action: Any) -> None:
        self.action = action
        self.starts: list[np.ndarray] = []
        self.states: list[Any] = []

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: Any = 0
    ) -> tuple[Any, Any]:
        assert deterministic is True
        self.starts.append(np.array(episode_start))
        self.states.append(state)
        return np.array([self.action] * len(observation)), len(self.states)


def expected(count: int, first_seed: int) -> list[Episode]:
    """Episodes of ``Always(0)`` in Countdown, played by hand."""
    env, episodes = Countdown(), []
    for k in range(count):
        env.reset(seed=first_seed + k)
        length = env.left
        zeros = sum(1 for left in range(length) if left % 2 == 0)
        episodes.append(Episode(pytest.approx(0.1 * length + zeros, abs=1e-6), length))
    return episodes


@pytest.mark.parametrize("n_envs", [1, 3, 8])
@pytest.mark.parametrize("episodes", [1, 7, 20])
def test_every_episode_is_accounted_for_whatever_the_number_of_environments(
    n_envs: int, episodes: int
) -> None:
    env = make_evaluation_env(COUNTDOWN, n_envs)
    evaluation = evaluate(Always(0), env, episodes, seed=5)
    assert list(evaluation) == expected(episodes, 5)
    assert len(evaluation) == episodes
    env.close()


def test_short_episodes_are_not_favoured() -> None:
    lengths = [evaluate(Always(0), make_evaluation_env(COUNTDOWN, n), 40).lengths for n in (1, 40)]
    assert np.array_equal(*lengths) and np.ptp(lengths[0]) > 15


def test_evaluations_do_not_depend_on_what_was_played_before() -> None:
    env = make_evaluation_env(COUNTDOWN, 2)
    first = evaluate(Always(0), env, 9, seed=3)
    other = evaluate(Always(0), env, 4, seed=4)
    for _ in range(7):
        env.step(np.zeros(2, int))
    assert evaluate(Always(0), env, 9, seed=3) == first
    assert other.episodes != first.episodes[:4]


@pytest.mark.parametrize("env_id", ["Hopper-v4", "PongNoFrameskip-v4"])
def test_real_models_play_the_same_episodes_again(env_id: str) -> None:
    spec = describe(env_id)

    def make() -> VecEnv:
        return make_evaluation_env(spec, 2, max_episode_steps=20)

    image = spec.kind == "image"
    algorithm, policy = (DQN, "CnnPolicy") if image else (SAC, "MlpPolicy")
    model = algorithm(policy, make(), buffer_size=10, seed=0, device="cpu")
    env = make()
    first = evaluate(model, env, 3, seed=1)
    assert evaluate(model, env, 3, seed=1) == first
    assert evaluate(model, make, 3, seed=1) == first
    assert np.isfinite(first.returns).all() and (first.lengths > 0).all()


def test_returns_agree_with_sb3() -> None:
    model = SAC("MlpPolicy", make_evaluation_env("Hopper-v4"), seed=0, device="cpu")
    env = make_evaluation_env("Hopper-v4")
    ours = evaluate(model, env, 4, seed=2)
    env.seed(2)
    returns, lengths = evaluate_policy(model, env, 4, return_episode_rewards=True)
    assert ours.returns.tolist() == returns
    assert ours.lengths.tolist() == lengths


def test_atari_returns_are_of_whole_games() -> None:
    env = make_evaluation_env("PongNoFrameskip-v4", 2)
    evaluation = evaluate(Always(0), env, 2, seed=0)
    assert evaluation.returns.tolist() == [-21.0, -21.0]
    # Twenty-one points take about a thousand actions, each of four frames.
    assert (evaluation.lengths > 700).all() and (evaluation.lengths < 1100).all()


def test_without_a_monitor_rewards_are_summed() -> None:
    env = DummyVecEnv([Countdown])
    evaluation = evaluate(Always(1), env, 3, seed=0)
    start = Countdown()
    start.reset(seed=0)
    ones = sum(1 for left in range(start.left) if left % 2 == 1)
    assert evaluation.episodes[0].return_ == pytest.approx(0.1 * start.left + ones, rel=1e-6)
    assert evaluation.episodes[0].length == start.left
    again = evaluate(Always(1), env, 3, seed=0)
    assert again == evaluation


def test_recurrent_policies_get_their_state_and_the_starts_of_episodes() -> None:
    policy = Always(0)
    evaluation = evaluate(policy, make_evaluation_env(COUNTDOWN), 3)
    starts = np.concatenate(policy.starts)
    ends = np.cumsum([0, *evaluation.lengths[:-1]])
    assert np.flatnonzero(starts).tolist() == ends.tolist()
    assert policy.states == [None, *range(1, len(policy.states))]


def test_factories_make_an_environment_that_is_closed_again() -> None:
    made: list[VecEnv] = []

    def opened(closed: list[bool]) -> Callable[[], VecEnv]:
        def make() -> VecEnv:
            env = make_evaluation_env(COUNTDOWN)
            close = env.close
            env.close = lambda: (closed.append(True), close())  # type: ignore[method-assign]
            made.append(env)
            return env

        return make

    closed: list[bool] = []
    evaluate(Always(0), opened(closed), 2)
    assert closed == [True]
    record_observations(Always(0), opened(closed), 3)
    assert closed == [True] * 2
    own = opened(closed)()
    evaluate(Always(0), own, 2)
    assert closed == [True] * 2


def test_statistics_that_would_move_are_refused() -> None:
    env = VecNormalize(make_evaluation_env(COUNTDOWN))
    with pytest.raises(ValueError, match="VecNormalize with training=False"):
        evaluate(Always(0), env, 1)
    env.training = False
    assert evaluate(Always(0), env, 3, seed=5).episodes == tuple(expected(3, 5))


def test_summary() -> None:
    evaluation = Evaluation((Episode(1.0, 10), Episode(4.0, 20)))
    assert (evaluation.mean, evaluation.std) == (2.5, 1.5)
    assert evaluation.lengths.tolist() == [10, 20]
    assert str(evaluation) == "2.5 +- 1.5 over 2 episodes"
    with pytest.raises(ValueError, match="episodes must be at least 1, got 0"):
        evaluate(Always(0), make_evaluation_env(COUNTDOWN), 0)


@pytest.mark.parametrize("n_envs", [1, 4])
def test_observations_are_recorded_as_the_policy_meets_them(n_envs: int) -> None:
    env = make_evaluation_env(COUNTDOWN, n_envs)
    recorded = record_observations(Always(0), env, 301, seed=5)
    assert recorded.shape == (301, 2) and recorded.dtype == np.float32
    bare = Countdown()
    track = recorded[::n_envs]
    row = 0
    for episode in range(2):
        observation, _ = bare.reset(seed=5 + episode * n_envs)
        for _ in range(bare.left):
            assert np.array_equal(track[row], observation)
            observation = bare.step(0)[0]
            row += 1
    assert np.array_equal(recorded, record_observations(Always(0), env, 301, seed=5))
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        record_observations(Always(0), env, 0)


def test_recorded_images_are_not_overwritten() -> None:
    env = make_evaluation_env("PongNoFrameskip-v4")
    stream = observation_stream(Always(2), env, seed=0)
    seen = [next(stream) for _ in range(6)]
    for before, after in pairwise(seen):
        assert np.array_equal(before[..., 1:], after[..., :3])
    assert len({observation.tobytes() for observation in seen}) == 6


def test_golden_observations_are_different_and_spread() -> None:
    stream = np.repeat(np.arange(100, dtype=np.float32), 3).reshape(300, 1)
    golden = select_golden(stream, 12)
    assert golden[0] == 0 and golden[-1] == 99 and len(np.unique(golden)) == 12
    assert np.ptp(np.diff(golden[:, 0])) <= 1
    assert np.array_equal(select_golden(stream[:6], 16), [[0], [1]])
    with pytest.raises(ValueError, match="at least one observation"):
        select_golden(stream[:0])
