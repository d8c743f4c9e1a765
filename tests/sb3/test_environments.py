import pickle
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.atari_wrappers import ClipRewardEnv
from stable_baselines3.common.vec_env import VecEnv

from rlcompress.sb3.environments import (
    EnvironmentFault,
    algorithm_for,
    describe,
    env_kind,
    evaluation_seed,
    make_evaluation_env,
    make_training_env,
    network_for,
)
from tests.sb3.odd_envs import IMAGE, VECTOR, register

PONG = "PongNoFrameskip-v4"


def play(vec_env: VecEnv, actions: list[Any]) -> list[np.ndarray]:
    """Observations, rewards and ends of a run through fixed actions."""
    seen = [vec_env.reset().copy()]
    for action in actions:
        observations, rewards, dones, _ = vec_env.step(np.array([action] * vec_env.num_envs))
        seen += [observations.copy(), rewards, dones]
    vec_env.close()
    return seen


def equal(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def game(vec_env: VecEnv) -> Any:
    return vec_env.get_attr("unwrapped")[0]


@pytest.mark.parametrize(
    "env_id", [f"{n}-v4" for n in "HalfCheetah Hopper Walker2d Ant Humanoid Swimmer".split()]
)
def test_the_papers_mujoco_environments_run(env_id: str) -> None:
    spec = describe(env_id)
    assert (spec.kind, spec.frame_stack, spec.max_episode_steps) == ("vector", 1, 1000)
    assert algorithm_for(spec.action_space) == "sac"
    vec_env = make_training_env(spec, seed=0)
    first = play(vec_env, [spec.action_space.low] * 20)
    assert all(np.isfinite(array).all() for array in first)
    assert first[0].shape == (1, *spec.observation_space.shape)


@pytest.mark.parametrize(
    ("env_id", "algorithm", "network"),
    [
        ("Hopper-v5", "sac", "mlp"),
        ("Pendulum-v1", "sac", "mlp"),
        ("CartPole-v1", "dqn", "mlp"),
        ("LunarLander-v3", "dqn", "mlp"),
        ("CarRacing-v3", "sac", "nature_cnn"),
        ("Pong-v4", "dqn", "nature_cnn"),
        ("ALE/Pong-v5", "dqn", "nature_cnn"),
        (PONG, "dqn", "nature_cnn"),
    ],
)
def test_any_id_is_described_as_it_is_made(env_id: str, algorithm: str, network: str) -> None:
    if env_id in {"LunarLander-v3", "CarRacing-v3"}:
        pytest.importorskip("Box2D")
    spec = describe(env_id)
    assert algorithm_for(spec.action_space) == algorithm
    assert network_for(spec.observation_space) == network
    assert spec.protocol.startswith(f"{env_id}: ")
    for make in (make_training_env, make_evaluation_env):
        vec_env = make(spec, 2, seed=3)
        assert vec_env.observation_space == spec.observation_space
        assert vec_env.action_space == spec.action_space
        observations = vec_env.reset()
        assert observations.shape == (2, *spec.observation_space.shape)
        assert observations.dtype == spec.observation_space.dtype
        vec_env.step(np.stack([vec_env.action_space.sample() for _ in range(2)]))
        vec_env.close()


@pytest.mark.parametrize(
    ("env_id", "own_skip", "sticky", "words"),
    [
        ("Pong-v4", (2, 5), 0.0, ["2 to 4 frames at random", "as PongNoFrameskip-v4", "no sticky"]),
        ("ALE/Pong-v5", 4, 0.25, ["skip of 4 frames", "probability 0.25"]),
        (PONG, 1, 0.0, ["skips no frames itself", "no sticky"]),
    ],
)
def test_atari_skips_exactly_four_frames(
    env_id: str, own_skip: Any, sticky: float, words: list[str]
) -> None:
    spec = describe(env_id)
    assert (spec.own_skip, spec.sticky, spec.frame_skip) == (own_skip, sticky, 4)
    for word in [*words, "Evaluation: whole games, unclipped"]:
        assert word in spec.protocol
    vec_env = make_evaluation_env(spec, seed=1)
    vec_env.reset()
    ale = game(vec_env).ale
    assert ale.getFloat("repeat_action_probability") == sticky
    for _ in range(5):
        before = ale.getEpisodeFrameNumber()
        vec_env.step(np.array([2]))
        assert ale.getEpisodeFrameNumber() == before + 4
    vec_env.close()


def test_the_papers_name_is_the_game_without_frame_skip() -> None:
    actions = [2, 3, 0, 2, 2, 3, 3, 3, 0, 2]
    short = play(make_training_env("Pong-v4", seed=5), actions)
    long = play(make_training_env(PONG, seed=5), actions)
    assert equal(short, long)


def test_frames_are_stacked_with_the_newest_last() -> None:
    vec_env = make_training_env(PONG, seed=0)
    before = vec_env.reset().copy()
    assert not before[..., :3].any() and before[..., 3].any()
    after, *_ = vec_env.step(np.array([2]))
    assert np.array_equal(after[..., :3], before[..., 1:])
    vec_env.close()


def until_done(vec_env: VecEnv, action: int) -> tuple[int, list[float]]:
    """Lives left where the first episode ends, and the rewards on the way."""
    lives, rewards = -1, []
    vec_env.reset()
    while lives < 0:
        _, reward, done, infos = vec_env.step(np.array([action]))
        rewards.append(float(reward[0]))
        lives = infos[0]["lives"] if done[0] else -1
    vec_env.close()
    return lives, rewards


def test_a_life_ends_a_training_episode_and_a_game_an_evaluation_episode() -> None:
    spec = describe("BreakoutNoFrameskip-v4")
    assert until_done(make_training_env(spec, seed=0), 1)[0] == 4
    assert until_done(make_evaluation_env(spec, seed=0), 1)[0] == 0


def test_rewards_are_clipped_for_training_only() -> None:
    spec = describe("CrazyClimberNoFrameskip-v4")
    climbing = [1 + i // 5 % 2 * 3 for i in range(150)]  # alternately up and down climbs
    training, evaluation = make_training_env(spec, seed=0), make_evaluation_env(spec, seed=0)
    assert training.env_is_wrapped(ClipRewardEnv) == [True]
    clipped = np.concatenate(play(training, climbing)[2::3])
    unclipped = np.concatenate(play(evaluation, climbing)[2::3])
    assert set(clipped) == {0.0, 1.0}
    assert unclipped.max() >= 100


def test_the_training_monitor_reports_unclipped_games() -> None:
    vec_env = make_training_env(PONG, seed=0)
    vec_env.reset()
    total, infos = 0.0, [{}]
    while "episode" not in infos[0]:
        _, rewards, _, infos = vec_env.step(np.array([0]))
        total += float(rewards[0])
    assert infos[0]["episode"]["r"] == total == -21
    vec_env.close()


@pytest.mark.parametrize("env_id", ["Hopper-v4", PONG])
def test_equal_seeds_give_equal_environments(env_id: str) -> None:
    spec = describe(env_id)
    actions = []
    for seed in (0, 0, 1):
        vec_env = make_training_env(spec, seed=seed)
        actions.append([vec_env.action_space.sample() for _ in range(20)])
        vec_env.close()
    assert np.array_equal(actions[0], actions[1]) and not np.array_equal(actions[0], actions[2])
    same = play(make_training_env(spec, seed=0), actions[0])
    assert equal(same, play(make_training_env(spec, seed=0), actions[0]))
    assert not equal(same, play(make_training_env(spec, seed=1), actions[0]))


def test_environments_of_one_run_have_different_seeds() -> None:
    vec_env = make_training_env("Hopper-v4", 3, seed=7)
    starts = vec_env.reset()
    assert len(np.unique(starts, axis=0)) == 3
    for i in range(3):
        alone = make_training_env("Hopper-v4", seed=7 + i)
        assert np.array_equal(alone.reset()[0], starts[i])
        alone.close()
    vec_env.close()


def test_every_evaluation_episode_has_a_seed_of_its_own() -> None:
    env_id = register("seeds", length=4)
    bare = gymnasium.make(env_id)
    expected = [bare.reset(seed=evaluation_seed(9) + k)[0] for k in range(4)]
    vec_env = make_evaluation_env(env_id, 2, seed=9)
    first = vec_env.reset()
    assert np.array_equal(first, expected[:2])
    for _ in range(4):
        observations, _, dones, _ = vec_env.step(np.zeros(2, int))
    assert dones.all() and np.array_equal(observations, expected[2:])
    vec_env.close()


def test_evaluation_episodes_can_be_cut_off() -> None:
    vec_env = make_evaluation_env("Pendulum-v1", max_episode_steps=7)
    vec_env.reset()
    lengths = []
    for _ in range(7):
        _, _, dones, infos = vec_env.step(np.zeros((1, 1), np.float32))
        lengths.append(bool(dones[0]))
    assert lengths == [False] * 6 + [True] and infos[0]["episode"]["l"] == 7
    longer = make_evaluation_env("Pendulum-v1", max_episode_steps=10_000)
    assert longer.get_attr("spec")[0].max_episode_steps == 200


def test_observations_of_other_shapes_become_vectors() -> None:
    env_id = register("matrix", observation_space=spaces.Box(-1, 1, (2, 3), np.float32))
    spec = describe(env_id)
    assert spec.flatten and spec.observation_space.shape == (6,)
    assert "flattened" in spec.protocol
    vec_env = make_training_env(spec, 2)
    assert vec_env.reset().shape == (2, 6)
    assert vec_env.observation_space == spec.observation_space


def test_images_without_atari_get_no_atari_wrappers() -> None:
    env_id = register("image", observation_space=IMAGE)
    assert env_kind(env_id) == "image"
    vec_env = make_training_env(env_id)
    assert vec_env.reset().shape == (1, 40, 48, 12)
    rewards = [vec_env.step(np.zeros(1, int))[1][0] for _ in range(3)]
    assert rewards == [1.0] * 3


@pytest.mark.parametrize(
    ("env_id", "nearest"),
    [
        ("Hoper-v4", "nearest: Hopper-v4, Hopper-v5"),
        ("hopper-v4", "nearest: Hopper-v4"),
        ("Hopper", "Hopper-v5, Hopper-v4"),
        ("Hopper-v99", "Hopper-v5, Hopper-v4"),
        ("Hopper-v2", "instead: Hopper-v5, Hopper-v4"),
        ("ALE/Pnog-v5", "nearest: ALE/Pong-v5"),
        ("PongNoFrameSkip-v4", "nearest: PongNoFrameskip-v4"),
        ("LunarLander-v2", "nearest: LunarLander-v3"),
        ("no_such_package:Thing-v0", "needs the package 'no_such_package'"),
        ("x y", "must be a registered Gymnasium id, got 'x y'"),
    ],
)
def test_unknown_ids_are_errors_with_the_nearest_names(env_id: str, nearest: str) -> None:
    with pytest.raises(ValueError) as error:
        describe(env_id)
    assert nearest in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("missing", "env_id", "install"),
    [
        ("Box2D", "LunarLander-v3", 'pip install swig "gymnasium[box2d]"'),
        ("mujoco", "Hopper-v4", 'pip install "gymnasium[mujoco]"'),
        ("ale_py", PONG, "pip install ale-py"),
        ("ale_py", "ALE/Pong-v5", "pip install ale-py"),
        ("cv2", PONG, "pip install opencv-python-headless"),
    ],
)
def test_a_missing_package_is_an_error_that_says_what_to_install(
    missing: str, env_id: str, install: str
) -> None:
    code = f"""
import sys
sys.modules[{missing!r}] = None
from rlcompress.sb3.environments import describe
try:
    describe({env_id!r})
except ValueError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert install in run.stdout and run.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("dict", {"observation_space": spaces.Dict({"a": VECTOR})}, "space, Dict"),
        ("tuple", {"observation_space": spaces.Tuple([VECTOR])}, "space, Tuple"),
        ("discrete", {"observation_space": spaces.Discrete(4)}, "space, Discrete"),
        ("bits", {"observation_space": spaces.MultiBinary(4)}, "space, MultiBinary"),
        (
            "chw",
            {"observation_space": spaces.Box(0, 255, (3, 64, 64), np.uint8)},
            "with channels first",
        ),
        (
            "floats",
            {"observation_space": spaces.Box(0, 1, (64, 64, 3), np.float32)},
            "uint8 images in 0..255",
        ),
        ("multi", {"action_space": spaces.MultiDiscrete([2, 3])}, "space MultiDiscrete"),
        ("start", {"action_space": spaces.Discrete(3, start=-1)}, "start at -1"),
        ("integers", {"action_space": spaces.Box(0, 5, (2,), np.int64)}, "of type int64"),
        ("unbounded", {"action_space": spaces.Box(-np.inf, 1, (2,))}, "unbounded"),
    ],
)
def test_unsupported_spaces_are_errors_that_say_which_work(
    name: str, options: dict[str, Any], words: str
) -> None:
    env_id = register(name, **options)
    with pytest.raises(ValueError) as error:
        describe(env_id)
    message = str(error.value)
    assert env_id in message and words in message and "what works: " in message


@pytest.mark.parametrize(
    ("odd", "at", "seen"),
    [
        (("observation", np.array([0.0, np.nan, 0.0])), 3, "has nan at index 1"),
        (("observation", np.array([0.0, 0.0, -np.inf])), 3, "has -inf at index 2"),
        (("observation", np.array([np.nan, 0.0, 0.0])), 0, "has nan at index 0"),
        (("observation", np.zeros(1)), 3, "has shape (1,), declared is (3,)"),
        (("observation", np.zeros(3, np.float32)), 3, "type float32, declared is float64"),
        (("observation", [0.0, 0.0, 0.0]), 3, "is a list, not a numpy array"),
        (("reward", float("inf")), 3, "the reward is inf"),
        (("reward", float("nan")), 3, "the reward is nan"),
        (("reward", None), 3, "the reward is None"),
    ],
)
def test_a_misbehaving_environment_stops_the_run(odd: Any, at: int, seen: str) -> None:
    env_id = register("misbehaves", odd=odd, at=at)
    vec_env = make_training_env(env_id)
    with pytest.raises(EnvironmentFault) as fault:
        vec_env.reset()
        for _ in range(5):
            vec_env.step(np.zeros(1, int))
    assert fault.value.step == at and fault.value.env_id == env_id
    assert env_id in str(fault.value) and f"step {at}" in str(fault.value)
    assert seen in str(fault.value)
    assert str(pickle.loads(pickle.dumps(fault.value))) == str(fault.value)


@pytest.mark.filterwarnings("ignore:overflow")
def test_large_finite_observations_are_no_fault() -> None:
    vec_env = make_training_env(register("large", odd=("observation", np.full(3, 1e300))))
    vec_env.reset()
    for _ in range(4):
        observations, *_ = vec_env.step(np.zeros(1, int))
        if observations.max() == 1e300:
            return
    raise AssertionError("the large observation never came")


def test_import_does_no_work_and_making_environments_is_quiet() -> None:
    code = """
import sys
from rlcompress.sb3.environments import describe, make_training_env
assert not {"ale_py", "mujoco", "Box2D"} & set(sys.modules)
for env_id in ("Hopper-v4", "PongNoFrameskip-v4", "ALE/Pong-v5"):
    make_training_env(describe(env_id)).reset()
"""
    run = subprocess.run(
        [sys.executable, "-W", "default", "-c", code], capture_output=True, text=True, check=True
    )
    for noise in ("out of date", "A.L.E", "Stella", "gymnasium"):
        assert noise not in run.stdout + run.stderr
