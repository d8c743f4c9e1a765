"""How long the paper's grids take on so many cores, by simulating who trains what when.

    python experiments/scale/schedule.py

Jobs start in the order in which the sweep lists them, each holds a core from its start to its end,
and one that needs a beginning that another is under way to waits for it with its core held, as
``trunks=`` does. A thousand jobs at a time (``hydra.sweeper.max_batch_size`` of the experiments):
the next thousand when all have ended. Costs per run are the measured ones named below.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """What is run, and what it costs on one core with ``training=fast``.

    ``evaluation_s`` is one evaluation (20 episodes), every 10 000 steps; ``fixed_s`` start, final
    episodes of the models that are kept, freezing, parity and TensorBoard.
    """

    name: str
    sparsities: tuple[float, ...]
    envs: int
    seeds: int
    total: int
    steps_per_s: float
    evaluation_s: float
    fixed_s: float

    def jobs(self) -> list[Job]:
        """The runs, in the order of the sweep."""
        twins = itertools.product(range(self.envs), range(self.seeds))
        found = itertools.product(VARIANTS, self.sparsities, twins)
        return [Job(self.total, variant, sparsity, twin) for variant, sparsity, twin in found]

    def seconds(self, steps: int) -> float:
        """Training and evaluations."""
        return steps / self.steps_per_s + steps / EVERY * self.evaluation_s


@dataclass(frozen=True)
class Job:
    """One run of a grid."""

    total: int
    variant: str
    sparsity: float
    twin: tuple[int, int]

    def parts(self) -> Iterator[tuple[int, tuple[object, ...] | None, bool]]:
        """(steps, name of what is there after them, whether this run leaves it), in order."""
        begin = self.total // 5
        if self.sparsity:
            yield begin, ("dense", self.twin), True
            yield self.total - begin, ("T", self.sparsity, self.twin), self.variant == "none"
        else:
            yield self.total, ("T", 0.0, self.twin), self.variant == "none"
        yield begin, None, False


VARIANTS, EVERY, BATCH = ("none", "int8", "weights"), 10_000, 1_000
MUJOCO, ATARI = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99), (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)


def _atari(name: str, steps_per_s: float, step_s: float) -> Grid:
    """A grid whose evaluations are 20 games and whose runs evaluate eight models at their end.

    Games are 3,400 steps of ``step_s`` seconds: the middle of what policies that hold their ground
    take.
    """
    evaluation_s = 20 * 3_400 * step_s
    return Grid(name, ATARI, 4, 5, 10_000_000, steps_per_s, evaluation_s, 8 * evaluation_s)


GRIDS = (
    # SAC: 118 steps/s pruned and quantised, 126 dense; an evaluation is that of HalfCheetah.
    Grid("paper_mujoco", MUJOCO, 6, 10, 1_000_000, 120.0, 7.1, 75.0),
    # DQN on Pong, NatureCNN and the residual network.
    _atari("paper_atari_cnn", steps_per_s=109.0, step_s=0.0020),
    _atari("paper_atari_resnet", steps_per_s=12.0, step_s=0.0146),
)


def simulate(grid: Grid, cores: int, *, forked: bool) -> tuple[float, float, float]:
    """Seconds until all is done; core-seconds of work; core-seconds spent waiting."""
    jobs = grid.jobs()
    free = [0.0] * min(cores, len(jobs))
    ready: dict[object, float] = {}
    work = waited = end = 0.0
    for number, job in enumerate(jobs):
        if number % BATCH == 0:
            free = [end] * len(free)
        now = heapq.heappop(free) + grid.fixed_s
        work += grid.fixed_s
        parts = list(job.parts())
        # The longest beginning that somebody has left or is under way to.
        known = [i for i, (_, name, _) in enumerate(parts) if forked and name in ready]
        first = known[-1] + 1 if known else 0
        if first:
            there = ready[parts[first - 1][1]]
            waited += max(0.0, there - now)
            now = max(now, there)
        for steps, name, leaves in parts[first:]:
            now += grid.seconds(steps)
            work += grid.seconds(steps)
            if name is not None and leaves:
                ready.setdefault(name, now)
        heapq.heappush(free, now)
        end = max(end, now)
    return end, work, waited


def main() -> None:
    """Print a table per grid."""
    for grid in GRIDS:
        print(f"{grid.name}: {len(grid.jobs()):,} runs")
        print("| cores | runs | wall time | core hours | waiting, core hours |")
        print("|---|---|---|---|---|")
        for cores, forked in itertools.product((1, 16, 512), (False, True)):
            end, work, waited = simulate(grid, cores, forked=forked)
            kind = "sharing beginnings" if forked else "independent"
            hours = f"{end / 3600:,.1f} h" if end < 4 * 86400 else f"{end / 86400:,.1f} days"
            print(f"| {cores} | {kind} | {hours} | {work / 3600:,.0f} | {waited / 3600:,.0f} |")


if __name__ == "__main__":
    main()
