"""Runs a policy in a paced loop, as a controller would, and says how late it was; starts nothing.

The loop sleeps until shortly before a tick is due and then watches the clock, as control loops do
that may keep a core to themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

AWAKE_NS = 300_000
"""How long before a tick the loop wakes: more than sleeping is usually late by."""

TRACE = 500


@dataclass(frozen=True)
class Paced:
    """A paced loop that was run: ``ticks`` were due, ``missed`` had no action in time.

    Of those that began: ``late_us`` after they were due, and ``done_us`` when there was an action.
    """

    rate_hz: float
    seconds: float
    ticks: int
    missed: int
    late_us: npt.NDArray[np.float64]
    done_us: npt.NDArray[np.float64]

    @property
    def holds(self) -> bool:
        """Whether every action was ready before the next was due."""
        return self.missed == 0

    def summary(self) -> dict[str, Any]:
        """JSON-able percentiles and a thinned-out trace."""
        row: dict[str, Any] = {
            "rate_hz": self.rate_hz,
            "seconds": self.seconds,
            "ticks": self.ticks,
            "missed": self.missed,
            "holds": self.holds,
        }
        for name, values in (("late", self.late_us), ("done", self.done_us)):
            for label, q in (("p50", 50), ("p99", 99), ("max", 100)):
                row[f"{name}_{label}_us"] = round(float(np.percentile(values, q)), 3)
        row["done_jitter_us"] = round(float(self.done_us.std()), 3)
        stride = -(-len(self.done_us) // TRACE)
        row["trace"] = [round(float(value), 2) for value in self.done_us[::stride]]
        return row


def pace(
    act: Callable[[Any], Any], observations: Sequence[Any], rate_hz: float, seconds: float
) -> Paced:
    """Call ``act`` on observations in turn, ``rate_hz`` times a second.

    A tick is missed where its action is not ready when the next one is due. After an overrun, ticks
    whose time is over are missed as well and left out; the one whose time it is begins at once.
    """
    ticks = max(1, round(rate_hz * seconds))
    period = 1e9 / rate_hz
    clock = time.perf_counter_ns
    late, done = np.zeros(ticks), np.zeros(ticks)
    began_count = missed = tick = 0
    start = clock() + 2_000_000
    while tick < ticks:
        due = start + int(tick * period)
        _wait_until(due)
        began = clock()
        act(observations[began_count % len(observations)])
        ended = clock()
        late[began_count], done[began_count] = began - due, ended - due
        began_count += 1
        missed += ended - due > period
        now = int((ended - start) // period)
        following = min(max(tick + 1, now), ticks)
        missed += following - tick - 1
        tick = following
    return Paced(
        rate_hz, seconds, ticks, missed, late[:began_count] / 1e3, done[:began_count] / 1e3
    )


def _wait_until(due: int) -> None:
    ahead = due - time.perf_counter_ns() - AWAKE_NS
    if ahead > 0:
        time.sleep(ahead / 1e9)
    while time.perf_counter_ns() < due:
        pass
