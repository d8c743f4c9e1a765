"""Prints the packed results as Markdown tables: a table per environment and folder.

    python experiments/paper/table.py [<folder of packed results> ...]

Without a folder, all of ``results/``. Returns are means over seeds of a run's final episodes, with
the lowest and highest seed where there are several. ``of dense`` is 1 + (x - dense) / abs(dense),
so that better is larger where returns are below 0. ``after T`` and ``best`` are the mean and the
best of the evaluations from where a run and its quantised twin part. Bytes are those of the stored
``.rlc``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from collect import unpacked

from rlcompress.evaluation.statistics import normalise
from rlcompress.reporting.inputs import read_runs
from rlcompress.reporting.pairs import best_after
from rlcompress.reporting.run import Run
from rlcompress.reporting.sweep import WEIGHTS_ONLY, Condition, Sweep

HERE = Path(__file__).parent
COLUMNS = (
    *("sparsity", "allocation", "quantised", "seeds", "last", "of dense"),
    *("after T", "best", "KB", "factor"),
)

QUANTISED = {"quantised": "8 bits", "ptq": "8 bits, afterwards"}


def over_seeds(values: list[float]) -> str:
    """Mean, and what it lies between."""
    found = f"{np.mean(values):,.0f}"
    several = len(values) > 1
    return found + (f" ({min(values):,.0f} to {max(values):,.0f})" if several else "")


def mean_after(run: Run, step: int) -> float | None:
    """The mean of all episodes of the run's evaluations after ``step``, None where it has none."""
    found = [episode["return"] for episode in run.evaluations() if episode["step"] > step]
    return float(np.mean(found)) if found else None


def row(sweep: Sweep, env: str, condition: Condition, runs: tuple[Run, ...]) -> list[str]:
    """The cells of one condition."""
    results = [found for run in runs if (found := run.result(run.final, "last")) is not None]
    best = [value for run in runs if (value := best_after(run, run.total_timesteps)) is not None]
    after = [value for run in runs if (value := mean_after(run, run.total_timesteps)) is not None]
    dense = sweep.dense(like=condition).get(env)
    last = [result.return_mean for result in results]
    level = 0.0 if dense is None else float(np.mean(dense))
    kept = f"{100 * np.mean(normalise(last, level)):.0f} %" if level else ""
    return [
        f"{condition.sparsity:g}",
        runs[0].allocation if condition.sparsity else "",
        WEIGHTS_ONLY if WEIGHTS_ONLY in condition.extra else QUANTISED.get(condition.final, ""),
        str(len(results)),
        over_seeds(last),
        kept,
        over_seeds(after),
        over_seeds(best),
        f"{np.mean([result.size_bytes for result in results]) / 1000:.1f}",
        f"{np.mean([result.honest_factor for result in results]):.1f}",
    ]


def lines(sweep: Sweep, name: str) -> Iterator[str]:
    """Every environment's table, headed by its name and that of the results."""
    for env in sweep.environments:
        yield f"\n**{env}, {name}**\n"
        yield f"| {' | '.join(COLUMNS)} |"
        yield f"|{'---|' * len(COLUMNS)}"
        for condition, runs in sweep.of(env).items():
            yield f"| {' | '.join(row(sweep, env, condition, runs))} |"


def main() -> None:
    """Read and print."""
    folders = [Path(name) for name in sys.argv[1:]] or sorted((HERE / "results").iterdir())
    for packed in folders:
        with unpacked(packed) as folder:
            print(*lines(Sweep(read_runs(str(folder)).runs), packed.name), sep="\n")


if __name__ == "__main__":
    main()
