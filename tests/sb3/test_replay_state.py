"""Buffers come back from runs of transitions, also after they have wrapped around."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlcompress.sb3 import replay_state
from rlcompress.sb3.replay import CompactReplayBuffer, FrameReplayBuffer

IMAGES = spaces.Box(0, 255, (4, 6, 6), np.uint8)
VECTORS = spaces.Box(-1, 1, (3,), np.float64)
ACTIONS = spaces.Discrete(3)
SIZE, ENVS = 12, 2


def make(images):
    kind, space = (FrameReplayBuffer, IMAGES) if images else (CompactReplayBuffer, VECTORS)
    return kind(SIZE * ENVS, space, ACTIONS, n_envs=ENVS)


class Play:
    """Transitions of stacked frames or of vectors, with an end of an episode now and then."""

    def __init__(self, images):
        self.rng = np.random.default_rng(3)
        self.images = images
        self.now = self.new()

    def new(self):
        if not self.images:
            return self.rng.normal(size=(ENVS, 3))
        stack = np.zeros((ENVS, *IMAGES.shape), np.uint8)
        stack[:, -1] = self.rng.integers(0, 256, (ENVS, 6, 6))
        return stack

    def step(self, buffer):
        after = self.new()
        if self.images:
            after = np.concatenate([self.now[:, 1:], after[:, -1:]], axis=1)
        done = self.rng.random(ENVS) < 0.2
        infos = [{"TimeLimit.truncated": bool(flag)} for flag in self.rng.random(ENVS) < 0.5]
        action = self.rng.integers(0, 3, (ENVS, 1))
        buffer.add(self.now, after, action, self.rng.normal(size=ENVS), done, infos)
        self.now = np.where(done.reshape(-1, *[1] * (after.ndim - 1)), self.new(), after)


def assert_same_batches(one, other):
    batches = []
    for buffer in (one, other):
        np.random.seed(0)
        batches.append(buffer.sample(64))
    for first, second in zip(*batches, strict=True):
        if isinstance(first, torch.Tensor):
            assert torch.equal(first, second)


@pytest.mark.parametrize("images", [False, True])
@pytest.mark.parametrize("pieces", [[5], [5, 9], [5, 12, 15], [4, 11, 18, 25, 32, 39], [40]])
def test_a_buffer_comes_back_from_its_pieces(images, pieces):
    play, buffer = Play(images), make(images)
    saved, start = [], 0
    for stop in pieces:
        for _ in range(start, stop):
            play.step(buffer)
        first = max(start, stop - SIZE)
        saved.append((first, stop, replay_state.take(buffer, first, stop)))
        start = stop
    again = make(images)
    replay_state.begin_(again, replay_state.counters(buffer))
    for first, stop, arrays in saved:
        if stop > pieces[-1] - SIZE:
            replay_state.put_(again, first, arrays)
    replay_state.finish_(again)
    assert_same_batches(buffer, again)
    # And it goes on like the other one.
    state, now = play.rng.bit_generator.state, play.now
    for other in (buffer, again):
        play.rng.bit_generator.state, play.now = state, now
        for _ in range(17):
            play.step(other)
    assert_same_batches(buffer, again)
    if images:
        assert buffer.pool.live == again.pool.live
