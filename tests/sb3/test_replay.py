import io
import pickle
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize

from rlcompress.sb3.environments import make_training_env
from rlcompress.sb3.frame_pool import FramePool
from rlcompress.sb3.replay import CompactReplayBuffer, FrameReplayBuffer, plan_replay
from tests.sb3.odd_envs import IMAGE, register

ACTIONS = spaces.Discrete(6)
SIDES = (5, 4)

Transition = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]


def transitions(
    steps: int, *, n_envs: int = 1, n_stack: int = 4, channels: int = 1, seed: int = 0
) -> Iterator[Transition]:
    """Transitions as SB3 stores them: stacks filled with zeros at a reset, terminal stacks kept.

    Episodes end at random, by termination or by time; now and then an environment is reset though
    its episode has not ended, and a frame is black.
    """
    random = np.random.default_rng(seed)

    def frame() -> np.ndarray:
        black = random.random() < 0.1
        return random.integers(0, 1 if black else 256, (*SIDES, channels), np.uint8)

    def moved(stack: np.ndarray) -> np.ndarray:
        return np.concatenate([stack[..., channels:], frame()], axis=-1)

    def first() -> np.ndarray:
        return moved(np.zeros((*SIDES, n_stack * channels), np.uint8))

    stacks = [first() for _ in range(n_envs)]
    for _ in range(steps):
        after = [moved(stack) for stack in stacks]
        ends = random.choice(3, n_envs, p=[0.8, 0.1, 0.1])
        infos = [{"TimeLimit.truncated": bool(end == 2)} for end in ends]
        yield (
            np.stack(stacks).transpose(0, 3, 1, 2),
            np.stack(after).transpose(0, 3, 1, 2),
            random.integers(0, 6, n_envs),
            random.normal(size=n_envs).astype(np.float32),
            ends > 0,
            infos,
        )
        restart = (ends > 0) | (random.random(n_envs) < 0.05)
        stacks = [first() if again else stack for again, stack in zip(restart, after, strict=True)]


def space(n_stack: int, channels: int) -> spaces.Box:
    return spaces.Box(0, 255, (n_stack * channels, *SIDES), np.uint8)


def pair(
    capacity: int, n_envs: int = 1, n_stack: int = 4, channels: int = 1
) -> tuple[ReplayBuffer, FrameReplayBuffer]:
    arguments = (capacity, space(n_stack, channels), ACTIONS, "cpu")
    return (
        ReplayBuffer(*arguments, n_envs=n_envs),
        FrameReplayBuffer(*arguments, n_envs=n_envs, n_stack=n_stack),
    )


def assert_equal_samples(
    theirs: ReplayBuffer, ours: ReplayBuffer, *, batch: int = 64, env: VecNormalize | None = None
) -> None:
    np.random.seed(11)
    expected = theirs.sample(batch, env)
    state = np.random.get_state()[1]
    np.random.seed(11)
    sampled = ours.sample(batch, env)
    assert np.array_equal(state, np.random.get_state()[1])
    for name, tensor in expected._asdict().items():
        other = getattr(sampled, name)
        if tensor is None:
            assert other is None
            continue
        assert other.dtype == tensor.dtype and other.device == tensor.device
        assert other.shape == tensor.shape and other.is_contiguous()
        assert torch.equal(other, tensor), name


@settings(max_examples=60, deadline=None)
@given(
    capacity=st.integers(1, 60),
    steps=st.integers(1, 150),
    n_envs=st.integers(1, 3),
    n_stack=st.integers(1, 4),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**16),
)
def test_batches_equal_those_of_sb3(
    capacity: int, steps: int, n_envs: int, n_stack: int, channels: int, seed: int
) -> None:
    theirs, ours = pair(capacity, n_envs, n_stack, channels)
    stream = transitions(steps, n_envs=n_envs, n_stack=n_stack, channels=channels, seed=seed)
    for i, transition in enumerate(stream):
        theirs.add(*transition)
        ours.add(*transition)
        assert (ours.pos, ours.full, ours.size()) == (theirs.pos, theirs.full, theirs.size())
        if i % 7 == 0:
            assert_equal_samples(theirs, ours, batch=16)
    everything, batches = np.arange(theirs.size()), []
    for buffer in (theirs, ours):
        np.random.seed(0)
        batches.append(buffer._get_samples(everything))
    assert torch.equal(batches[0].observations, batches[1].observations)
    assert torch.equal(batches[0].next_observations, batches[1].next_observations)


def test_transitions_that_share_nothing_are_kept_as_they_are() -> None:
    theirs, ours = pair(10)
    random = np.random.default_rng(0)
    for _ in range(25):
        observations = random.integers(0, 256, (2, 1, 4, *SIDES), np.uint8)
        rest = (np.zeros(1, int), np.zeros(1), np.zeros(1, bool), [{}])
        theirs.add(*observations, *rest)
        ours.add(*observations, *rest)
        assert_equal_samples(theirs, ours)


def test_a_frame_is_stored_once_and_freed_with_its_last_transition() -> None:
    _, ours = pair(20)
    distinct = [np.full((1, 1, *SIDES), i + 1, np.uint8) for i in range(104)]
    for i in range(100):
        stacks = [np.concatenate(distinct[j : j + 4], axis=1) for j in (i, i + 1)]
        ours.add(*stacks, np.zeros(1, int), np.zeros(1), np.zeros(1, bool), [{}])
        assert ours.pool.live == min(i + 1, 20) + 4
    assert ours.pool.nbytes == (20 + 4 + 1 + 1) * 20


def test_an_episode_costs_one_frame_more() -> None:
    _, ours = pair(300)
    ends = 0
    for transition in transitions(300, seed=3):
        ours.add(*transition)
        ends += int(not ours.slots[ours.pos - 1, 0, 0, :3].any())  # the first of an episode
    assert ends > 10
    assert ours.pool.live <= 300 + ends


def test_a_million_atari_transitions_need_at_most_seven_and_a_half_gigabytes() -> None:
    images = spaces.Box(0, 255, (4, 84, 84), np.uint8)
    ours = FrameReplayBuffer(1_000_000, images, ACTIONS, "cpu")
    shortest = 20  # steps per episode, far below any Atari game's
    terminal_frames = 1_000_000 // shortest * 84 * 84
    assert ours.nbytes + terminal_frames <= 7.5e9
    plan = plan_replay(
        images, ACTIONS, buffer_size=1_000_000, total_timesteps=10_000_000, frame_stack=4
    )
    assert plan.nbytes == ours.nbytes
    assert str(plan) == "replay buffer: 1000000 transitions, 7.1 GB (each frame once)"


def test_frames_beyond_the_expected_number_find_room() -> None:
    pool = FramePool(10, (1, 2, 2), np.uint8)
    frames = np.random.default_rng(0).integers(0, 256, (2000, 1, 2, 2), np.uint8)
    slots = np.array([pool.put(frame) for frame in frames])
    out = np.empty((2000, 4), np.uint8)
    pool.take_(slots, out)
    assert np.array_equal(out, frames.reshape(2000, 4))
    assert pool.live == 2000 and pool.nbytes >= 2001 * 4
    pool.release(slots[:1000].tolist())
    assert pool.live == 1000
    before = pool.nbytes
    again = [pool.put(frame) for frame in frames[:1000]]
    assert set(again) == set(slots[:1000].tolist()) and pool.nbytes == before


@pytest.mark.parametrize("steps", [13, 70])
def test_a_saved_buffer_goes_on_where_it_stopped(steps: int) -> None:
    theirs, ours = pair(30, n_envs=2)
    stream = transitions(steps + 40, n_envs=2)
    for transition in islice(stream, steps):
        theirs.add(*transition)
        ours.add(*transition)
    again = pickle.loads(pickle.dumps(ours))
    assert again.nbytes == ours.nbytes and again.pool.live == ours.pool.live
    assert_equal_samples(theirs, again)
    for transition in stream:
        theirs.add(*transition)
        again.add(*transition)
    assert_equal_samples(theirs, again)


def test_a_saved_buffer_holds_only_what_was_written() -> None:
    images = spaces.Box(0, 255, (4, 84, 84), np.uint8)
    ours = FrameReplayBuffer(2000, images, ACTIONS, "cpu")
    observation = np.random.default_rng(0).integers(0, 256, (1, 4, 84, 84), np.uint8)
    ours.add(observation, observation, np.zeros(1, int), np.zeros(1), np.zeros(1, bool), [{}])
    assert len(pickle.dumps(ours)) < 500_000 < ours.nbytes / 10


def test_reset_forgets() -> None:
    theirs, ours = pair(20)
    stream = transitions(60)
    for transition in islice(stream, 35):
        ours.add(*transition)
    ours.reset()
    assert ours.size() == 0 and ours.pool.live == 0
    for transition in stream:
        theirs.add(*transition)
        ours.add(*transition)
    assert_equal_samples(theirs, ours)


def test_time_limits_count_as_ends_when_asked() -> None:
    options = {"n_stack": 4, "handle_timeout_termination": False}
    theirs = ReplayBuffer(50, space(4, 1), ACTIONS, "cpu", handle_timeout_termination=False)
    ours = FrameReplayBuffer(50, space(4, 1), ACTIONS, "cpu", **options)
    for transition in transitions(80):
        theirs.add(*transition)
        ours.add(*transition)
    assert_equal_samples(theirs, ours)


def test_normalised_rewards_equal_those_of_sb3() -> None:
    env = VecNormalize(
        make_training_env(register("normal", observation_space=IMAGE)), norm_obs=False
    )
    env.ret_rms.var = np.float64(4.0)
    theirs, ours = pair(50)
    for transition in transitions(80):
        theirs.add(*transition)
        ours.add(*transition)
    assert_equal_samples(theirs, ours, env=env)


@pytest.mark.parametrize("n_envs", [1, 2])
def test_dqn_learns_the_same_with_either_buffer(n_envs: int) -> None:
    env_id = register("replayed", observation_space=IMAGE, length=9)
    models = []
    for options in ({}, {"replay_buffer_class": FrameReplayBuffer}):
        model = DQN(
            "CnnPolicy",
            make_training_env(env_id, n_envs, seed=4),
            buffer_size=40,
            learning_starts=10,
            batch_size=8,
            seed=4,
            device="cpu",
            **options,
        )
        model.learn(60).learn(30, reset_num_timesteps=True)
        models.append(model)
    assert_equal_samples(models[0].replay_buffer, models[1].replay_buffer)
    for one, other in zip(
        models[0].policy.parameters(), models[1].policy.parameters(), strict=True
    ):
        assert torch.equal(one, other)
    file = io.BytesIO()
    models[1].save_replay_buffer(file)
    file.seek(0)
    models[0].load_replay_buffer(file)
    assert_equal_samples(models[0].replay_buffer, models[1].replay_buffer)


def test_buffers_that_cannot_be() -> None:
    with pytest.raises(ValueError, match=r"n_stack must divide .* got n_stack=3"):
        FrameReplayBuffer(10, space(4, 1), ACTIONS, "cpu", n_stack=3)
    with pytest.raises(ValueError, match="optimize_memory_usage must be False"):
        FrameReplayBuffer(10, space(4, 1), ACTIONS, "cpu", optimize_memory_usage=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_take_half_the_room_and_reach_the_networks_unchanged(dtype: type) -> None:
    observations = spaces.Box(-np.inf, np.inf, (7,), dtype)
    actions = spaces.Box(-1, 1, (2,), np.float32)
    theirs = ReplayBuffer(50, observations, actions, "cpu", n_envs=2)
    ours = CompactReplayBuffer(50, observations, actions, "cpu", n_envs=2)
    random = np.random.default_rng(0)
    for _ in range(40):
        row = (
            *random.normal(size=(2, 2, 7)).astype(dtype),
            random.normal(size=(2, 2)),
            random.normal(size=2),
            random.random(2) < 0.2,
            [{"TimeLimit.truncated": True}, {}],
        )
        theirs.add(*row)
        ours.add(*row)
    np.random.seed(1)
    expected = theirs.sample(64)
    np.random.seed(1)
    sampled = ours.sample(64)
    for name in ("observations", "next_observations", "actions", "dones", "rewards"):
        assert torch.equal(getattr(expected, name).float(), getattr(sampled, name).float())
    assert ours.observations.dtype == ours.next_observations.dtype == np.float32
    assert ours.observations.shape == theirs.observations.shape
    assert ours.observation_space is observations


def test_sac_learns_the_same_with_either_buffer() -> None:
    weights = []
    for options in ({}, {"replay_buffer_class": CompactReplayBuffer}):
        env = make_training_env("Hopper-v4", seed=0)
        model = SAC("MlpPolicy", env, learning_starts=20, seed=0, device="cpu", **options)
        model.learn(40)
        weights.append(torch.cat([p.detach().flatten() for p in model.policy.parameters()]))
    assert torch.equal(*weights)


@pytest.mark.parametrize(
    ("buffer_size", "total", "n_envs", "capacity"),
    [(1000, 400, 1, 400), (1000, 5000, 1, 1000), (1000, 401, 4, 404), (2, 100, 4, 4)],
)
def test_a_buffer_is_no_larger_than_the_run(
    buffer_size: int, total: int, n_envs: int, capacity: int
) -> None:
    observations, actions = spaces.Box(-1, 1, (11,), np.float64), spaces.Box(-1, 1, (3,))
    plan = plan_replay(
        observations, actions, buffer_size=buffer_size, total_timesteps=total, n_envs=n_envs
    )
    assert plan.capacity == capacity and plan.buffer_class is CompactReplayBuffer
    buffer = plan.buffer_class(
        plan.capacity, observations, actions, "cpu", n_envs, **plan.buffer_kwargs
    )
    arrays = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
    assert plan.nbytes == sum(getattr(buffer, name).nbytes for name in arrays)
    assert str(plan).startswith(f"replay buffer: {capacity} transitions, 0.")


def test_a_plan_is_what_sb3_takes() -> None:
    env = make_training_env(register("planned", observation_space=IMAGE, length=99), 2)
    assert isinstance(env.observation_space, spaces.Box)
    plan = plan_replay(
        env.observation_space,
        env.action_space,
        buffer_size=100,
        total_timesteps=61,
        n_envs=2,
        frame_stack=4,
    )
    model = DQN("CnnPolicy", env, learning_starts=1000, train_freq=1, **plan.model_arguments())
    model.learn(61)
    buffer = model.replay_buffer
    assert isinstance(buffer, FrameReplayBuffer)
    assert buffer.nbytes == plan.nbytes and buffer.full and buffer.pos == 0
