"""When things happen in one distillation, counted in gradient steps; does nothing itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rlcompress.spec import PolynomialSchedule

PRUNING_END = 0.6
QUANTISE_AT = 0.8
UPDATES = 200
ROUNDS = 16
_LAST_ROUND = 0.9
_FLOOR = 1e-3


@dataclass(frozen=True)
class Course:
    """One distillation of ``steps`` gradient steps from sparsity ``initial`` to ``final``.

    Masks shrink on the cubic schedule until ``PRUNING_END``, with a constant learning rate that
    then falls as a cosine; quantised training begins at ``QUANTISE_AT`` and lasts to the end.
    Observations come in ``ROUNDS`` rounds, the last of them late enough to show what the finished
    student does and early enough to learn from it.
    """

    steps: int
    final: float
    initial: float = 0.0
    quantise: bool = True
    learning_rate: float = 3e-3

    @property
    def schedule(self) -> PolynomialSchedule:
        """The cubic schedule from the initial sparsity."""
        updates = max(1, min(UPDATES, int(PRUNING_END * self.steps)))
        return PolynomialSchedule(0.0, PRUNING_END, updates, initial=min(self.initial, self.final))

    def updates_due(self, step: int) -> int:
        """Mask updates that are due before gradient step number ``step``."""
        return self.schedule.updates_due(step, self.steps)

    def sparsity_after(self, updates: int) -> float:
        """Sparsity that so many updates lead to."""
        return self.schedule.sparsity_at(self.schedule.progress_of(updates), self.final)

    @property
    def quantise_at(self) -> int | None:
        """Gradient step before which the student is quantised; None for never."""
        return math.ceil(QUANTISE_AT * self.steps) if self.quantise else None

    def rounds_due(self, step: int) -> int:
        """Rounds of new observations that are due before gradient step number ``step``."""
        return min(ROUNDS, 1 + int(step / self.steps / _LAST_ROUND * (ROUNDS - 1)))

    def rate(self, step: int) -> float:
        """Learning rate of gradient step number ``step``."""
        progress = step / self.steps
        if progress < PRUNING_END:
            return self.learning_rate
        fall = 0.5 * (1 + math.cos(math.pi * (progress - PRUNING_END) / (1 - PRUNING_END)))
        return self.learning_rate * max(fall, _FLOOR)

    def phase(self, step: int) -> str:
        """What a person would call the part that ``step`` lies in."""
        if step < PRUNING_END * self.steps:
            return "pruning"
        start = self.quantise_at
        return "quantised" if start is not None and step >= start else "pruned"
