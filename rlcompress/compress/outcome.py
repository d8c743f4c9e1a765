"""What came of each attempt, and which course to take next: pure functions, no files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from rlcompress.compress.course import Course
from rlcompress.compress.matching import Likeness

LADDER = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Sparsities that a search climbs, before it looks between the last two."""

CONFIDENT = 0.5
"""Part of the tolerance that a check may lose and still end the attempts early: it has few
episodes, and the final ones are others."""

_LEVEL = 0.95


@dataclass(frozen=True)
class Paired:
    """Returns of teacher and student in the same episodes, in the order of their seeds."""

    teacher: tuple[float, ...]
    student: tuple[float, ...]

    @property
    def teacher_mean(self) -> float:
        """Mean return of the teacher."""
        return float(np.mean(self.teacher))

    @property
    def student_mean(self) -> float:
        """Mean return of the student."""
        return float(np.mean(self.student))

    @property
    def difference(self) -> float:
        """Mean of student minus teacher."""
        return self.student_mean - self.teacher_mean

    @property
    def loss(self) -> float:
        """What the student loses, as a part of the teacher's return; below 0 where it gains."""
        return -self.difference / max(abs(self.teacher_mean), 1e-9)

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval of the difference (Student's t over the pairs)."""
        differences = np.subtract(self.student, self.teacher)
        if len(differences) < 2:
            return math.inf
        spread = float(differences.std(ddof=1)) / math.sqrt(len(differences))
        return float(stats.t.ppf(0.5 + _LEVEL / 2, len(differences) - 1)) * spread


@dataclass(frozen=True)
class Outcome:
    """One attempt: its course, how it was judged, what it weighs, and where it lies.

    ``check`` is None where there is no environment. ``likeness`` is that of actions on
    observations that the student met last. ``base`` is the float student, for sparser ones.
    """

    number: int
    course: Course
    check: Paired | None
    likeness: Likeness
    discrete: bool
    kept: int
    size_bytes: int
    latency_us: float
    base: dict[str, Any] | None = None

    @property
    def sparsity(self) -> float:
        """Fraction of zeros that was asked for."""
        return self.course.final

    def within(self, tolerance: float) -> bool:
        """Whether the check shows no loss above ``tolerance``."""
        return self.check is None or self.check.loss <= tolerance

    def convincing(self, wish: Wish) -> bool:
        """Whether a longer attempt is not worth its time."""
        alike = self.likeness.weighed >= wish.agreement
        return alike and self.within(CONFIDENT * wish.tolerance)

    def __str__(self) -> str:
        how = f"action error {self.likeness.error:.4f}"
        if self.discrete:
            how = f"agreement {self.likeness.agreement:.4f}"
        text = f"attempt {self.number + 1}: sparsity {self.sparsity:g}, "
        text += f"{self.course.steps:,} steps, {how}"
        if self.check is not None:
            check = self.check
            text += f", return {check.student_mean:.1f} against {check.teacher_mean:.1f}"
            text += f" ({-100 * check.loss:+.1f} %)"
        return f"{text}, {self.size_bytes:,} bytes"


@dataclass(frozen=True)
class Wish:
    """What a run is after: a sparsity, or None for the sparsest within ``tolerance``.

    ``lengths`` are gradient steps of the attempts, each tried only where the ones before did not
    convince. ``agreement`` is how much of a discrete teacher's preferences an attempt has to share.
    """

    sparsity: float | None
    tolerance: float
    lengths: tuple[int, ...]
    quantise: bool
    learning_rate: float
    agreement: float = 0.0

    def course(self, sparsity: float, length: int, initial: float = 0.0) -> Course:
        """A course for this wish."""
        return Course(length, sparsity, initial, self.quantise, self.learning_rate)


def next_course(wish: Wish, done: Sequence[Outcome]) -> Course | None:
    """The course of the next attempt; None where the run is over."""
    if wish.sparsity is None:
        return _climb(wish, done)
    if len(done) == len(wish.lengths) or (done and done[-1].convincing(wish)):
        return None
    return wish.course(wish.sparsity, wish.lengths[len(done)])


def base_of(wish: Wish, done: Sequence[Outcome]) -> Outcome | None:
    """The attempt whose student the next one starts from; None: from the teacher."""
    if wish.sparsity is not None:
        return None
    return sparsest(wish, done)


def sparsest(wish: Wish, done: Sequence[Outcome]) -> Outcome | None:
    """The sparsest attempt within the tolerance."""
    return next(iter(sparsest_first(wish, done)), None)


def sparsest_first(wish: Wish, done: Sequence[Outcome]) -> list[Outcome]:
    """The attempts within the tolerance: the sparsest first, of equal ones the longest."""
    good = [found for found in done if found.within(wish.tolerance)]
    return sorted(good, key=lambda found: (found.sparsity, found.number), reverse=True)


def chosen(wish: Wish, done: Sequence[Outcome]) -> Outcome:
    """The attempt whose student is the run's result."""
    if wish.sparsity is None:
        found = sparsest(wish, done)
        if found is not None:
            return found
    alike = [found for found in done if found.convincing(wish)]
    if alike:
        return alike[-1]
    # Longer attempts see more; returns of few episodes must differ clearly to say otherwise.
    best = done[0]
    for found in done[1:]:
        if _loss(found) <= _loss(best) + CONFIDENT * wish.tolerance:
            best = found
    return best


def _loss(found: Outcome) -> float:
    return found.likeness.error if found.check is None else found.check.loss


def _climb(wish: Wish, done: Sequence[Outcome]) -> Course | None:
    """Up the ladder while it holds, then once between what held and what did not."""
    held = sparsest(wish, done)
    low = 0.0 if held is None else held.sparsity
    above = [found for found in done if found.sparsity > low]
    length = wish.lengths[0]
    if above:
        level = min(found.sparsity for found in above)
        tries = sum(found.sparsity == level for found in above)
        if tries < len(wish.lengths):
            return wish.course(level, wish.lengths[tries], low)
        if held is None or level not in LADDER or low not in LADDER:
            return None
        # Halfway in the weights that stay, as the steps of the ladder are.
        level = round(1.0 - math.sqrt((1.0 - low) * (1.0 - level)), 3)
        return wish.course(level, length, low)
    if low not in (0.0, *LADDER):
        return None
    higher = [level for level in LADDER if level > low]
    return wish.course(higher[0], length, low) if higher else None
