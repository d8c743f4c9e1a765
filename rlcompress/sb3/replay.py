"""Replay buffers that give SB3's batches from less memory, and the choice between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.preprocessing import get_action_dim, is_image_space
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from rlcompress.sb3.frame_pool import FramePool


class FrameReplayBuffer(ReplayBuffer):
    """A replay buffer for stacked frames that stores each frame once.

    Observations are (channels, height, width) with the newest of ``n_stack`` frames last. A
    transition is a list of slots in a pool of frames: those of its observation and of its next
    observation. Frames are shared where bytes are equal, never because of a flag: an observation
    that is the previous next observation takes its slots, a next observation that is its
    observation moved on by one frame adds one. So terminal frames, zero-filled stacks after a
    reset and environments that are reset out of turn all come back as they went in, and batches
    equal those of SB3's ``ReplayBuffer`` under the same numpy random state.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        *,
        n_stack: int = 4,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
    ) -> None:
        if optimize_memory_usage:
            raise ValueError("optimize_memory_usage must be False: frames are stored once already")
        # SB3's own constructor would ask for two arrays of whole observations.
        super(ReplayBuffer, self).__init__(
            buffer_size, observation_space, action_space, device, n_envs=n_envs
        )
        if len(self.obs_shape) != 3 or self.obs_shape[0] % n_stack:
            raise ValueError(
                f"n_stack must divide the channels of (channels, height, width) observations, "
                f"got n_stack={n_stack} and observations of shape {self.obs_shape}"
            )
        assert observation_space.dtype is not None
        self.buffer_size = max(buffer_size // n_envs, 1)
        self.optimize_memory_usage = False
        self.handle_timeout_termination = handle_timeout_termination
        self.n_stack = n_stack
        rows = (self.buffer_size, n_envs)
        action_type = self._maybe_cast_dtype(action_space.dtype)
        self.actions = np.zeros((*rows, self.action_dim), action_type)
        self.rewards = np.zeros(rows, np.float32)
        self.dones = np.zeros(rows, np.float32)
        self.timeouts = np.zeros(rows, np.float32)
        self.slots = np.zeros((*rows, 2, n_stack), np.int32)
        channels, *sides = self.obs_shape
        # One frame per transition, the older ones of the oldest, and the newest of the next.
        expected = n_envs * (self.buffer_size + n_stack + 1)
        self.pool = FramePool(expected, (channels // n_stack, *sides), observation_space.dtype)
        self._last: list[_Stack | None] = [None] * n_envs

    @property
    def nbytes(self) -> int:
        """Bytes of everything stored per frame and per transition."""
        rows = (self.actions, self.rewards, self.dones, self.timeouts, self.slots)
        return self.pool.nbytes + sum(array.nbytes for array in rows)

    def add(
        self,
        obs: NDArray[Any],
        next_obs: NDArray[Any],
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Store one transition per environment, over the oldest ones where the buffer is full."""
        replaced = self.slots[self.pos].copy() if self.full else None
        for env in range(self.n_envs):
            first = self._observation(env, obs[env])
            second = self._next_observation(first, next_obs[env])
            self.slots[self.pos, env] = first.slots, second.slots
            self._last[env] = second
        if replaced is not None:
            self._release(replaced, self.slots[(self.pos + 1) % self.buffer_size])
        self.actions[self.pos] = action.reshape((self.n_envs, self.action_dim))
        self.rewards[self.pos] = reward
        self.dones[self.pos] = done
        if self.handle_timeout_termination:
            self.timeouts[self.pos] = [info.get("TimeLimit.truncated", False) for info in infos]
        self.pos = (self.pos + 1) % self.buffer_size
        self.full = self.full or self.pos == 0

    def reset(self) -> None:
        """Forget all transitions."""
        super().reset()
        self.pool.clear()
        self._last = [None] * self.n_envs

    def continue_(self) -> None:
        """Go on after the newest transition, where rows and frames were written from outside."""
        for env in range(self.n_envs):
            slots = self.slots[self.pos - 1, env, 1]
            frames = self.pool.frames(slots).reshape(self.obs_shape)
            self._last[env] = _Stack(slots.tolist(), frames, frames)

    def _observation(self, env: int, observation: NDArray[Any]) -> _Stack:
        """The observation in the pool: usually it is the last next observation."""
        last = self._last[env]
        if last is not None and np.array_equal(last.given, observation):
            return last
        return self._store(observation, np.ascontiguousarray(observation))

    def _next_observation(self, before: _Stack, observation: NDArray[Any]) -> _Stack:
        """The next observation in the pool: usually one new frame after ``before``."""
        frames = np.ascontiguousarray(observation)
        width = self.pool.shape[0]
        if not np.array_equal(before.frames[width:], frames[:-width]):
            return self._store(observation, frames)
        slots = [*before.slots[1:], self.pool.put(frames[-width:])]
        return _Stack(slots, np.array(observation), frames)

    def _store(self, observation: NDArray[Any], frames: NDArray[Any]) -> _Stack:
        """An observation that has nothing in common with the ones before it."""
        width = self.pool.shape[0]
        parts = [frames[i : i + width] for i in range(0, len(frames), width)]
        slots = [self.pool.put(part) if part.any() else 0 for part in parts]
        return _Stack(slots, np.array(observation), frames)

    def _release(self, replaced: NDArray[Any], oldest: NDArray[Any]) -> None:
        """Free the frames of replaced transitions that the oldest remaining ones do not use.

        Frames are handed on from one transition to the next only, so no later one has any.
        """
        for gone, kept in zip(replaced, oldest, strict=True):
            self.pool.release(set(gone.reshape(-1).tolist()) - set(kept.reshape(-1).tolist()))

    def _get_samples(
        self, batch_inds: NDArray[Any], env: VecNormalize | None = None
    ) -> ReplayBufferSamples:
        """Batches as SB3 samples them, with its calls to numpy's generator in its order."""
        envs = np.random.randint(0, high=self.n_envs, size=(len(batch_inds),))
        slots = self.slots[batch_inds, envs]
        ended = self.dones[batch_inds, envs] * (1 - self.timeouts[batch_inds, envs])
        rewards = self._normalize_reward(self.rewards[batch_inds, envs].reshape(-1, 1), env)
        return ReplayBufferSamples(
            observations=self._images(slots[:, 0], env),
            actions=self.to_torch(self.actions[batch_inds, envs, :]),
            next_observations=self._images(slots[:, 1], env),
            dones=self.to_torch(ended.reshape(-1, 1)),
            rewards=self.to_torch(rewards),
        )

    def _images(self, slots: NDArray[Any], env: VecNormalize | None) -> torch.Tensor:
        images = np.empty((len(slots), *self.obs_shape), self.observation_space.dtype)
        self.pool.take_(slots, images.reshape(len(slots), self.n_stack, -1))
        normalised = self._normalize_obs(images, env)
        assert isinstance(normalised, np.ndarray)
        return self.to_torch(normalised, copy=False)


@dataclass(frozen=True)
class _Stack:
    """An observation in the pool, with a copy as it was given and one in rows of frames.

    The first keeps the memory layout of the observations that come, so that comparing them is
    fast; the second makes one frame contiguous.
    """

    slots: list[int]
    given: NDArray[Any]
    frames: NDArray[Any]


class CompactReplayBuffer(ReplayBuffer):
    """SB3's replay buffer, with float64 observations stored in float32.

    Networks compute in float32, so they see the same numbers: batches equal SB3's after
    ``.float()``. (Only with VecNormalize does the rounding come before the normalisation.)
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        **options: Any,
    ) -> None:
        stored = observation_space
        if isinstance(stored, spaces.Box) and stored.dtype == np.float64:
            stored = spaces.Box(-np.inf, np.inf, stored.shape, np.float32)
        super().__init__(buffer_size, stored, action_space, device, n_envs=n_envs, **options)
        self.observation_space = observation_space


@dataclass(frozen=True)
class ReplayPlan:
    """Which replay buffer a run uses: arguments for SB3's off-policy algorithms, and its bytes."""

    buffer_class: type[ReplayBuffer]
    capacity: int
    nbytes: int
    buffer_kwargs: dict[str, Any] = field(default_factory=dict)

    def model_arguments(self) -> dict[str, Any]:
        """The plan as arguments of an SB3 algorithm's class."""
        return {
            "buffer_size": self.capacity,
            "replay_buffer_class": self.buffer_class,
            "replay_buffer_kwargs": dict(self.buffer_kwargs),
        }

    def __str__(self) -> str:
        size, unit = self.nbytes / 1e6, "MB"
        if size >= 1000:
            size, unit = size / 1000, "GB"
        how = " (each frame once)" if self.buffer_class is FrameReplayBuffer else ""
        return f"replay buffer: {self.capacity} transitions, {size:.1f} {unit}{how}"


def plan_replay(
    observation_space: spaces.Box,
    action_space: spaces.Space[Any],
    *,
    buffer_size: int,
    total_timesteps: int,
    n_envs: int = 1,
    frame_stack: int = 1,
) -> ReplayPlan:
    """The buffer for a run: ``buffer_size``, or all its ``total_timesteps`` where that is less.

    (SB3 rounds a run up to whole rollouts; the few steps too many replace the oldest ones.)
    ``observation_space`` may have its channels first or last. For images the bytes are those of
    episodes without end; every episode adds one frame.
    """
    # Each of the environments adds a row at a time, so the last row may pass total_timesteps.
    steps = -(-total_timesteps // n_envs) * n_envs
    capacity = max(min(buffer_size, steps), n_envs)
    rows = capacity // n_envs
    action = get_action_dim(action_space) * np.dtype(action_space.dtype).itemsize
    flags = 3 * 4  # reward, done and timeout, float32 each
    values = int(np.prod(observation_space.shape))
    if not is_image_space(observation_space):
        itemsize = min(np.dtype(observation_space.dtype).itemsize, 4)
        nbytes = rows * n_envs * (2 * values * itemsize + action + flags)
        return ReplayPlan(CompactReplayBuffer, capacity, nbytes)
    slots = 2 * frame_stack * 4
    frames = n_envs * (rows + frame_stack + 1) + 1
    nbytes = frames * (values // frame_stack) + rows * n_envs * (slots + action + flags)
    return ReplayPlan(FrameReplayBuffer, capacity, nbytes, {"n_stack": frame_stack})
