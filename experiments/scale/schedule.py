"""How long the paper's MuJoCo grid takes on so many cores, by simulating who trains what when.

    python experiments/scale/schedule.py

Jobs start in the order in which the sweep lists them, each holds a core from its start to its end,
and one that needs a beginning that another is under way to waits for it with its core held, as
``trunks=`` does. Costs per run are the measured ones named below.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

STEPS_PER_S = 120.0
"""Training, one core, ``training=fast`` (118 pruned and quantised, 126 dense)."""

EVALUATION_S = 7.1
"""One evaluation every 10 000 steps: 20 episodes of 1000 steps (HalfCheetah)."""

FIXED_S = 75.0
"""Start (6.5 s), the final episodes of eight kept models (57 s), freezing, parity, TensorBoard."""

T, EXTRA, EVERY = 1_000_000, 200_000, 10_000
SPARSITIES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
VARIANTS, ENVS, SEEDS = ("none", "int8", "weights"), 6, 10


@dataclass(frozen=True)
class Job:
    """One run of the grid."""

    variant: str
    sparsity: float
    twin: tuple[int, int]

    def parts(self) -> Iterator[tuple[int, tuple[object, ...] | None, bool]]:
        """(steps, name of what is there after them, whether this run leaves it), in order."""
        if self.sparsity:
            yield T // 5, ("dense", self.twin), True
            yield T - T // 5, ("T", self.sparsity, self.twin), self.variant == "none"
        else:
            yield T, ("T", 0.0, self.twin), self.variant == "none"
        yield EXTRA, None, False


def seconds(steps: int) -> float:
    """Training and evaluations."""
    return steps / STEPS_PER_S + steps / EVERY * EVALUATION_S


def grid() -> list[Job]:
    """The runs, in the order of the sweep."""
    twins = itertools.product(range(ENVS), range(SEEDS))
    found = itertools.product(VARIANTS, SPARSITIES, twins)
    return [Job(variant, sparsity, twin) for variant, sparsity, twin in found]


def simulate(cores: int, *, forked: bool) -> tuple[float, float, float]:
    """Seconds until all is done; core-seconds of work; core-seconds spent waiting."""
    free = [0.0] * min(cores, len(grid()))
    heapq.heapify(free)
    ready: dict[object, float] = {}
    work = waited = end = 0.0
    for job in grid():
        now = heapq.heappop(free) + FIXED_S
        work += FIXED_S
        parts = list(job.parts())
        # The longest beginning that somebody has left or is under way to.
        known = [i for i, (_, name, _) in enumerate(parts) if forked and name in ready]
        first = known[-1] + 1 if known else 0
        if first:
            there = ready[parts[first - 1][1]]
            waited += max(0.0, there - now)
            now = max(now, there)
        for steps, name, leaves in parts[first:]:
            now += seconds(steps)
            work += seconds(steps)
            if name is not None and leaves:
                ready.setdefault(name, now)
        heapq.heappush(free, now)
        end = max(end, now)
    return end, work, waited


def main() -> None:
    """Print the table."""
    print(f"{len(grid()):,} runs")
    print("| cores | runs | wall time | core hours | waiting, core hours |")
    print("|---|---|---|---|---|")
    for cores, forked in itertools.product((1, 16, 512), (False, True)):
        end, work, waited = simulate(cores, forked=forked)
        kind = "sharing beginnings" if forked else "independent"
        hours = f"{end / 3600:,.1f} h" if end < 4 * 86400 else f"{end / 86400:,.1f} days"
        print(f"| {cores} | {kind} | {hours} | {work / 3600:,.0f} | {waited / 3600:,.0f} |")


if __name__ == "__main__":
    main()
