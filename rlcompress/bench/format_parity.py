"""Counts how far a form of a policy is from the policy itself, block by block; runs neither."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rlcompress.artifact import AnyArray, CompressedPolicy
from rlcompress.bench.format_runners import Likeness

FLOAT_TOLERANCE = 1e-4
"""Of raw outputs, relative to the largest where that is above 1: what float32 sums may differ."""


@dataclass
class Tally:
    """Differences between a form and what it should give, over the blocks added so far.

    An output step is what 8 bits resolve of raw outputs: the largest of the stream / 127. Of
    rounded activations the first to differ for an observation may be one step off; what follows
    from it in later layers is counted apart.
    """

    policy: CompressedPolicy
    likeness: Likeness
    rounded: int = 0
    rounded_differently: int = 0
    largest_rounding: int = 0
    largest_following: int = 0
    _blocks: list[tuple[AnyArray, ...]] = field(default_factory=list)

    def add(
        self, expected: list[AnyArray], actions: AnyArray, found: tuple[AnyArray, AnyArray, Any]
    ) -> None:
        """Count one block: what all values and actions should be, and what a form gave."""
        outputs, given, inner = found
        moved = np.zeros(len(actions), bool)
        for value, integers in inner.items():
            right = expected[value].astype(np.int16)
            steps = np.abs(integers.reshape(right.shape) - right).reshape(len(right), -1)
            self.rounded += steps.size
            self.rounded_differently += int(np.count_nonzero(steps))
            first, later = int(steps[~moved].max(initial=0)), int(steps[moved].max(initial=0))
            self.largest_rounding = max(self.largest_rounding, first)
            self.largest_following = max(self.largest_following, later)
            moved |= steps.any(axis=1)
        right = expected[-1].reshape(len(actions), -1)
        self._blocks.append((right, outputs, actions, given.reshape(actions.shape), moved))

    def row(self) -> dict[str, Any]:
        """What was found, ready for a table."""
        right, outputs, actions, given, moved = (
            np.concatenate(part) for part in zip(*self._blocks, strict=True)
        )
        step = float(np.abs(right).max()) / 127 or 1.0
        apart = np.abs(outputs.astype(np.float64) - right).max(axis=1)
        row = {
            "observations": len(right),
            "not_bit_equal": int((outputs.view("u4") != right.view("u4")).any(axis=1).sum()),
            "largest_output_difference": float(apart.max()),
            "output_step": step,
            "output_steps": float(apart.max()) / step,
            "beyond_one_step": int((apart > step).sum()),
        }
        if self.rounded:
            row |= {
                "activations": self.rounded,
                "activations_differ": self.rounded_differently,
                "activation_steps": self.largest_rounding,
                "following_steps": self.largest_following,
                "observations_touched": int(moved.sum()),
            }
        row |= self._actions(right, actions, given, step)
        row["holds"] = self._holds(row, right, apart)
        return row

    def _actions(
        self, right: AnyArray, actions: AnyArray, given: AnyArray, step: float
    ) -> dict[str, Any]:
        action = self.policy.action
        if action.kind != "argmax":
            return {"action_difference": float(np.abs(given.astype(np.float64) - actions).max())}
        other = given != actions
        close = _lead(right, action.quantiles) <= self._tolerance(right, step)
        return {
            "actions_differ": int(other.sum()),
            "explained": int((other & close).sum()),
            "too_close_to_tell": int(close.sum()),
        }

    def _tolerance(self, right: AnyArray, step: float) -> AnyArray:
        """By how much an output may differ, per observation."""
        if self.likeness == "exact":
            return np.zeros(len(right))
        if self.likeness == "steps":
            return np.full(len(right), step)
        tolerance: AnyArray = FLOAT_TOLERANCE * np.maximum(1.0, np.abs(right).max(axis=1))
        return tolerance

    def _holds(self, row: dict[str, Any], right: AnyArray, apart: AnyArray) -> bool:
        if self.likeness == "exact" and row["not_bit_equal"]:
            return False
        within = bool((apart <= self._tolerance(right, row["output_step"])).all())
        unexplained = row.get("actions_differ", 0) - row.get("explained", 0)
        return within and not unexplained and row.get("activation_steps", 0) <= 1


def _lead(outputs: AnyArray, quantiles: int) -> AnyArray:
    """By how much the best action leads."""
    values = outputs.reshape(len(outputs), quantiles, -1).mean(axis=1)
    if values.shape[1] == 1:
        return np.full(len(values), np.inf)
    best = np.sort(values, axis=1)
    lead: AnyArray = best[:, -1] - best[:, -2]
    return lead
