"""Plays to find observations worth learning from: whoever acts, the teacher is asked.

A quarter of the environments follow the teacher, so that the states it lives in stay known; in the
others the student acts and shows where its own mistakes lead (DAgger). Every second environment's
actions are disturbed, so that ways back from mistakes not made yet are in the set as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from rlcompress.compress.recorded import Recorded
from rlcompress.compress.teacher import Teacher
from rlcompress.sb3 import env_state
from rlcompress.sb3.actors import Actor
from rlcompress.sb3.observations import as_prepared

TAUGHT = 4
"""Every fourth environment, at least one, is the teacher's."""


class Gatherer:
    """Environments that go on from where they were, and who acts in each of them."""

    def __init__(self, teacher: Teacher, env: VecEnv, *, noise: float, seed: int) -> None:
        self._teacher = teacher
        self._env = env
        self._noise = noise
        self._generator = np.random.default_rng(seed)
        self._seed = seed
        self._last: NDArray[Any] | None = None
        self._raw: list[NDArray[Any]] = []
        number = np.arange(env.num_envs)
        self._taught = number < max(1, env.num_envs // TAUGHT)
        self._disturbed = number % 2 == 1

    @property
    def n_envs(self) -> int:
        """Environments that are stepped together."""
        return self._env.num_envs

    @torch.no_grad()
    def gather(self, recorded: Recorded, count: int, student: Actor | None) -> float:
        """Add ``count`` observations (rounded up); returns the student's error on them.

        Without a student the teacher acts everywhere.
        """
        if self._last is None:
            self._env.seed(self._seed)
            self._last = np.array(self._env.reset())
        errors = []
        for _ in range(-(-count // self.n_envs)):
            seen = self._teacher.seen(self._last)
            values = self._teacher.values(seen)
            recorded.add(seen, values)
            acting = values
            if student is not None:
                own = self._values(student, seen)
                errors.append(
                    self._teacher.matching.likeness(own[~self._taught], values[~self._taught])
                )
                acting = torch.where(torch.from_numpy(self._taught)[:, None], values, own)
            self._last = np.array(self._env.step(self._disturb(acting))[0])
        return float(np.mean([found.error for found in errors])) if errors else 0.0

    def state_dict(self) -> dict[str, Any]:
        """Where the environments and the disturbances stand."""
        return {
            "last": None if self._last is None else env_state.with_strides(self._last),
            "environment": None if self._last is None else env_state.capture(self._env),
            "generator": self._generator.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> str | None:
        """Go on from ``state_dict()``; returns why episodes start anew where they do."""
        self._generator.bit_generator.state = state["generator"]
        if state["last"] is None:
            return None
        unsaved = state["environment"].get("unsaved")
        if unsaved is not None:
            self._env.seed(int(self._generator.integers(2**31)))
            self._last = np.array(self._env.reset())
            return str(unsaved)
        env_state.restore_(self._env, state["environment"])
        self._last = env_state.from_strides(state["last"])
        return None

    def _values(self, student: Actor, seen: NDArray[Any]) -> torch.Tensor:
        output = student.forward(as_prepared(self._teacher.model, seen))
        return self._teacher.matching.values(output).cpu()

    def _disturb(self, values: torch.Tensor) -> NDArray[Any]:
        matching, space = self._teacher.matching, self._teacher.model.action_space
        shape = space.shape or ()
        if matching.discrete:
            actions = matching.actions(values, shape)
            random = self._generator.integers(values.shape[1], size=len(actions))
            wild = self._generator.random(len(actions)) < self._noise / 2
            chosen: NDArray[Any] = np.where(wild & self._disturbed, random, actions)
            return chosen
        unit = matching.unit(values)
        noise = self._generator.standard_normal(unit.shape).astype(np.float32) * self._noise
        noise[~self._disturbed] = 0.0
        moved = matching.in_units((unit + torch.from_numpy(noise)).clamp(-1.0, 1.0))
        return moved.numpy().reshape(-1, *shape)
