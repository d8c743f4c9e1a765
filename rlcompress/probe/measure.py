"""What is measured and how one callable is timed; knows no backend and no process."""

from __future__ import annotations

import gc
import math
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np
import numpy.typing as npt

ENOUGH = 10
"""Samples that must lie beyond a percentile for it to mean something."""


@dataclass(frozen=True)
class MeasureSpec:
    """How long to measure: backends take turns, ``rounds`` times ``round_s`` seconds each."""

    rounds: int = 15
    round_s: float = 0.05
    warm_up_s: float = 0.3

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {self.rounds}")
        for name in ("round_s", "warm_up_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


@dataclass(frozen=True)
class Measurement:
    """Times of single calls of one backend, in microseconds: ``latency_us`` (rounds, calls).

    ``what`` as in ``Backend``; ``batch`` observations per call; ``machine`` is its processor.
    ``error`` is the largest deviation that the correctness gate saw. ``memory_bytes`` is what
    loading added to the process, which had ``memory_before_bytes``; ``energy_uj`` what a call took,
    by meter (None: not known here).
    """

    backend: str
    what: str
    batch: int
    threads: int
    latency_us: npt.NDArray[np.float64]
    machine: str
    error: float = 0.0
    memory_bytes: int | None = None
    memory_before_bytes: int | None = None
    energy_uj: Mapping[str, float] | None = None

    def percentile(self, q: float) -> float | None:
        """The q-th percentile; None where too few samples lie beyond it to estimate it."""
        if self.latency_us.size * min(q, 100 - q) / 100 < ENOUGH:
            return None
        return float(np.percentile(self.latency_us, q))

    @property
    def p50_us(self) -> float:
        """Median over all samples."""
        return float(np.median(self.latency_us))

    @property
    def max_us(self) -> float:
        """The largest sample: what was seen, which says nothing of what can happen."""
        return float(self.latency_us.max())

    @property
    def rounds_p50_us(self) -> npt.NDArray[np.float64]:
        """Median of each round."""
        return np.asarray(np.median(self.latency_us, axis=1))

    def ratios_to(self, other: Measurement) -> npt.NDArray[np.float64]:
        """How many times longer than ``other`` this takes, round by round.

        Rounds are taken in turn, so that a machine that grows slower slows both.
        """
        if len(self.latency_us) != len(other.latency_us):
            raise ValueError(
                f"{self.backend} and {other.backend} were measured in {len(self.latency_us)} and "
                f"{len(other.latency_us)} rounds; measure them together"
            )
        return self.rounds_p50_us / other.rounds_p50_us

    def ratio_to(self, other: Measurement) -> float:
        """How many times longer than ``other`` this takes: median over rounds."""
        return float(np.median(self.ratios_to(other)))


def time_calls(
    call: Callable[[Any], Any], arguments: Sequence[Any], count: int
) -> npt.NDArray[np.int64]:
    """Nanoseconds that each of ``count`` calls took, ``arguments`` in turn."""
    taken = array("q", bytes(8 * count))
    clock = time.perf_counter_ns
    collecting = gc.isenabled()
    gc.disable()
    try:
        for index, argument in enumerate(islice(cycle(arguments), count)):
            start = clock()
            call(argument)
            taken[index] = clock() - start
    finally:
        if collecting:
            gc.enable()
    return np.frombuffer(taken, np.int64)


def clock_overhead_ns() -> float:
    """What ``time_calls`` measures of a function that does nothing: part of every latency."""
    return float(np.median(time_calls(_nothing, [None], 2000)))


def calls_for(call: Callable[[Any], Any], arguments: Sequence[Any], spec: MeasureSpec) -> int:
    """Warm up for ``warm_up_s``, then say how many calls fill a round (at least eight)."""
    return calls_to_fill(lambda count: time_calls(call, arguments, count), spec)


def calls_to_fill(timed: Callable[[int], npt.NDArray[np.int64]], spec: MeasureSpec) -> int:
    """The same for what times so many calls by itself."""
    count, spent = 4, 0.0
    while True:
        taken = timed(count)
        spent += float(taken.sum()) / 1e9
        if spent >= spec.warm_up_s:
            break
        count = min(2 * count, 4096)
    typical = max(float(np.median(taken)) / 1e9, 1e-8)
    return max(8, min(math.ceil(spec.round_s / typical), 100_000))


def _nothing(argument: object) -> None:
    return None
