"""The report's numbers: one row per environment and condition, with what follows from them.

The same rows are shown on the page and written as ``statistics.jsonl``; formats nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rlcompress.evaluation.lossless import Comparison, compare
from rlcompress.evaluation.statistics import Estimate, Scores, estimate, estimates, improvement
from rlcompress.reporting.run import Run
from rlcompress.reporting.sweep import CHECKPOINTS, Condition, Sweep, as_parts

POOLED = "all environments"


@dataclass(frozen=True)
class Row:
    """One condition in one environment (or ``POOLED``), for one checkpoint.

    ``estimate`` is the IQM of returns (None where pooled: returns of different environments do not
    add up), ``aggregates`` those of returns as parts of the dense mean, {} where there is none.
    ``improvement`` is the probability of beating a dense run; it and ``comparison`` are None for
    dense runs themselves and where there are none. ``size_bytes``, ``paper_factor`` and
    ``honest_factor`` are means over runs.
    """

    env: str
    condition: Condition
    checkpoint: str
    runs: int
    estimate: Estimate | None
    mean: float | None
    aggregates: dict[str, Estimate]
    improvement: Estimate | None
    comparison: Comparison | None
    size_bytes: float | None = None
    paper_factor: float | None = None
    honest_factor: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Everything of the row, JSON-able."""
        found = asdict(self)
        condition = found.pop("condition")
        return {"env": found.pop("env"), **condition, "label": self.condition.label, **found}


def rows(sweep: Sweep) -> list[Row]:
    """The table: per environment, then pooled over all of them where a condition spans them."""
    return [*_each(sweep), *_pooled(sweep)]


def _each(sweep: Sweep) -> Iterator[Row]:
    for env in sweep.environments:
        for condition, runs in sweep.of(env).items():
            for checkpoint in CHECKPOINTS:
                scores = sweep.scores(condition, checkpoint, [env])
                if not scores:
                    continue
                yield Row(
                    env,
                    condition,
                    checkpoint,
                    scores[env].size,
                    estimate(scores, "IQM", sweep.how),
                    float(np.mean(scores[env])),
                    *_against(sweep, condition, checkpoint, scores),
                    *_sizes(runs, checkpoint),
                )


def _pooled(sweep: Sweep) -> Iterator[Row]:
    """Of conditions that every environment has: in a sweep half done some would decide for all."""
    for condition in sweep.conditions:
        for checkpoint in CHECKPOINTS:
            scores = sweep.scores(condition, checkpoint)
            if len(scores) < max(2, len(sweep.environments)):
                continue
            runs = sum(len(values) for values in scores.values())
            comparable = set(sweep.dense(checkpoint, condition)) >= set(scores)
            against = _against(sweep, condition, checkpoint, scores if comparable else {})
            yield Row(POOLED, condition, checkpoint, runs, None, None, *against)


def _against(
    sweep: Sweep, condition: Condition, checkpoint: str, scores: Scores
) -> tuple[dict[str, Estimate], Estimate | None, Comparison | None]:
    """What follows from dense runs: aggregates of parts of their mean, wins, the test."""
    dense = sweep.measure(condition, checkpoint, scores)
    if not dense:
        return {}, None, None
    parts = as_parts(scores, dense)
    aggregates = estimates(parts, sweep.how)
    if condition.final == "dense":
        return aggregates, None, None
    twins = sweep.twins(condition, checkpoint, scores)
    return (
        aggregates,
        improvement(scores, dense, sweep.how),
        compare(scores, dense, twins=twins, how=sweep.how),
    )


def _sizes(
    runs: tuple[Run, ...], checkpoint: str
) -> tuple[float | None, float | None, float | None]:
    found = [row for run in runs if (row := run.result(run.final, checkpoint)) is not None]
    if not found:
        return None, None, None
    factors = [row.paper_factor for row in found if row.paper_factor is not None]
    return (
        float(np.mean([row.size_bytes for row in found])),
        float(np.mean(factors)) if factors else None,
        float(np.mean([row.honest_factor for row in found])),
    )


def smallest_lossless(table: list[Row], env: str) -> Row | None:
    """The smallest condition that is shown to lose nothing, by bytes, last checkpoints."""
    found = [
        row
        for row in table
        if (row.env, row.checkpoint) == (env, "last")
        and row.comparison is not None
        and row.comparison.verdict == "lossless"
    ]
    return min(found, key=lambda row: row.size_bytes or 0.0, default=None)


def run_rows(sweep: Sweep) -> Iterator[dict[str, Any]]:
    """One JSON-able row per run and checkpoint: its final variant, for further analysis."""
    for run in sweep.runs:
        for checkpoint in CHECKPOINTS:
            result = run.result(run.final, checkpoint)
            if result is not None:
                about = {
                    "env": run.env,
                    "algo": run.algo,
                    "sparsity": run.sparsity,
                    "quant": run.quant,
                    "seed": run.seed,
                    "total_timesteps": run.total_timesteps,
                    "length": run.length,
                }
                yield {**about, **asdict(result)}
