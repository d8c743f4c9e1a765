"""Prints the packed results as Markdown tables: a table per environment and folder.

    python experiments/paper/table.py [<folder of packed results> ...]

Without a folder, all of ``results/``. Returns are means over seeds of a run's final episodes, and
those of each seed where there are several: fewer than five are no interval. ``of dense`` is
1 + (x - dense) / abs(dense), so that better is larger where returns are below 0. ``after T`` and
``highest`` are the mean and the highest of the evaluations from where a run and its quantised twin
part. ``lossless?`` is the non-inferiority test against dense runs. Bytes are those of the stored
``.rlc``. Where a folder has several environments, the tests of all of them together follow.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from collect import unpacked

from rlcompress.evaluation.resampling import FloatArray
from rlcompress.evaluation.statistics import normalise
from rlcompress.reporting.inputs import read_runs
from rlcompress.reporting.pairs import best_after
from rlcompress.reporting.run import Run
from rlcompress.reporting.sweep import WEIGHTS_ONLY, Condition, Sweep
from rlcompress.reporting.tables import POOLED, Row, rows

HERE = Path(__file__).parent
COLUMNS = (
    *("sparsity", "allocation", "quantised", "seeds", "last", "of dense"),
    *("lossless?", "after T", "highest", "KB", "factor"),
)

COMPARED = (*COLUMNS[:3], "mean difference", "lossless?")

QUANTISED = {"quantised": "8 bits", "ptq": "8 bits, afterwards"}


def over_seeds(values: list[float]) -> str:
    """Mean, and what it is the mean of."""
    found = f"{np.mean(values):,.0f}"
    several = len(values) > 1
    return found + (f" ({'; '.join(f'{value:,.0f}' for value in values)})" if several else "")


def mean_after(run: Run, step: int) -> float | None:
    """The mean of all episodes of the run's evaluations after ``step``, None where it has none."""
    found = [episode["return"] for episode in run.evaluations() if episode["step"] > step]
    return float(np.mean(found)) if found else None


def named(condition: Condition, runs: tuple[Run, ...]) -> list[str]:
    """Sparsity, allocation and quantisation of a condition."""
    return [
        f"{condition.sparsity:g}",
        runs[0].allocation if condition.sparsity else "",
        WEIGHTS_ONLY if WEIGHTS_ONLY in condition.extra else QUANTISED.get(condition.final, ""),
    ]


def row(found: Row, runs: tuple[Run, ...], dense: FloatArray | None) -> list[str]:
    """The cells of one condition."""
    results = [r for run in runs if (r := run.result(run.final, "last")) is not None]
    best = [value for run in runs if (value := best_after(run, run.total_timesteps)) is not None]
    after = [value for run in runs if (value := mean_after(run, run.total_timesteps)) is not None]
    last = [result.return_mean for result in results]
    level = 0.0 if dense is None else float(np.mean(dense))
    kept = f"{100 * np.mean(normalise(last, level)):.0f} %" if level else ""
    return [
        *named(found.condition, runs),
        str(len(results)),
        over_seeds(last),
        kept,
        "" if found.comparison is None else str(found.comparison),
        over_seeds(after),
        over_seeds(best),
        f"{np.mean([result.size_bytes for result in results]) / 1000:.1f}",
        f"{np.mean([result.honest_factor for result in results]):.1f}",
    ]


def lines(sweep: Sweep, name: str) -> Iterator[str]:
    """Every environment's table, headed by its name and that of the results; all together."""
    found = [row for row in rows(sweep) if row.checkpoint == "last"]
    for env in sweep.environments:
        yield from _head(f"{env}, {name}", COLUMNS)
        for one in found:
            if one.env == env:
                dense = sweep.dense(like=one.condition, envs=[env]).get(env)
                yield _line(row(one, sweep.groups[env, one.condition], dense))
    pooled = [one for one in found if one.env == POOLED and one.comparison is not None]
    if pooled:
        yield from _head(f"{POOLED.capitalize()}, {name}", COMPARED)
    for one in pooled:
        assert one.comparison is not None
        runs = sweep.groups[sweep.environments[0], one.condition]
        difference = f"{100 * one.comparison.difference:+.1f} %"
        yield _line([*named(one.condition, runs), difference, str(one.comparison)])


def _head(title: str, columns: Sequence[str]) -> Iterator[str]:
    yield f"\n**{title}**\n"
    yield _line(columns)
    yield f"|{'---|' * len(columns)}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Read and print."""
    folders = [Path(name) for name in sys.argv[1:]] or sorted((HERE / "results").iterdir())
    for packed in folders:
        with unpacked(packed) as folder:
            print(*lines(Sweep(read_runs(str(folder)).runs), packed.name), sep="\n")


if __name__ == "__main__":
    main()
