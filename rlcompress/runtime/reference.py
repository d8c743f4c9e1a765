"""The reference interpreter: runs a policy in numpy, bit for bit as documented; not for speed.

Every other runtime (the native engine, the exported C) is tested to give the same bits.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.records import AnyArray, FloatArray, Golden
from rlcompress.runtime.numerics import act, is_single, prepare
from rlcompress.runtime.operations import compile_op

_BLOCK = 64  # Observations run at a time, so that a large batch does not need much memory.


class Reference:
    """Runs ``policy`` on raw observations of the environment, one or a batch of them."""

    def __init__(self, policy: CompressedPolicy) -> None:
        self.policy = policy
        types = policy.values
        self._runs = [compile_op(op, [types[i] for i in op.inputs]) for op in policy.ops]

    @classmethod
    def load(cls, path: str | Path) -> Reference:
        """The reference for an artifact on disk."""
        return cls(CompressedPolicy.load(path))

    def values(self, observations: npt.ArrayLike) -> list[AnyArray]:
        """Every value of the network for a batch: the prepared observation, then one per op."""
        found = [prepare(self.policy.observation, observations)]
        for op, run in zip(self.policy.ops, self._runs, strict=True):
            found.append(run(*(found[i] for i in op.inputs)))
        return found

    def forward(self, observations: npt.ArrayLike) -> FloatArray:
        """Raw outputs (n, outputs) of a batch; one observation is a batch of one."""
        batch = prepare(self.policy.observation, observations)
        parts = [self._outputs(batch[i : i + _BLOCK]) for i in range(0, len(batch), _BLOCK)]
        if not parts:
            return np.zeros((0, self.policy.values[-1].size), np.float32)
        return np.concatenate(parts)

    def __call__(self, observations: npt.ArrayLike) -> AnyArray:
        """Action of one observation, or actions of a batch."""
        given = np.asarray(observations)
        actions = act(self.policy.action, self.forward(given))
        return actions[0, ...] if is_single(self.policy.observation, given) else actions

    def predict(
        self,
        observation: npt.ArrayLike,
        state: tuple[Any, ...] | None = None,
        episode_start: AnyArray | None = None,
        deterministic: bool = True,
    ) -> tuple[AnyArray, tuple[Any, ...] | None]:
        """Action(s) and ``state`` in the form of Stable-Baselines3's ``predict``.

        A compressed policy is deterministic and keeps no state; the other arguments are ignored.
        """
        return self(observation), state

    def __reduce__(self) -> tuple[type[Reference], tuple[CompressedPolicy]]:
        return Reference, (self.policy,)

    def _outputs(self, batch: AnyArray) -> FloatArray:
        """Raw outputs of a prepared batch; values nobody reads again are let go."""
        found: dict[int, AnyArray] = {0: batch}
        last_read = {i: k for k, op in enumerate(self.policy.ops) for i in op.inputs}
        for k, (op, run) in enumerate(zip(self.policy.ops, self._runs, strict=True)):
            found[k + 1] = run(*(found[i] for i in op.inputs))
            for i in set(op.inputs):
                if last_read[i] == k:
                    del found[i]
        return found[len(self._runs)].reshape(len(batch), -1)


def with_golden(policy: CompressedPolicy, observations: npt.ArrayLike) -> CompressedPolicy:
    """``policy`` with the reference's outputs and actions for a batch of observations attached."""
    given = np.asarray(observations)
    if is_single(policy.observation, given):
        raise ValueError(f"observations must be a batch, got a single one of shape {given.shape}")
    outputs = Reference(policy).forward(given)
    stored = given.astype(np.uint8 if policy.observation.image else np.float32)
    golden = Golden(stored, outputs, act(policy.action, outputs))
    return dataclasses.replace(policy, golden=golden)
