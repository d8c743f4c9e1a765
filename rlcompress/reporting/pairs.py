"""Pairs of twins in a sweep: a pruned run and the one that was quantised as well."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from rlcompress.evaluation.resampling import FloatArray
from rlcompress.reporting.run import Run
from rlcompress.reporting.sweep import Condition, Sweep


def twins(sweep: Sweep, extra: str = "") -> Iterator[tuple[Run, Run]]:
    """(quantised, pruned) runs of one environment, sparsity above 0, seed and length.

    ``extra`` as in ``Condition``: what the quantised ones were asked for ("": 8 bits of both
    weights and activations; ``WEIGHTS_ONLY``).
    """
    for (env, condition), runs in sweep.groups.items():
        if condition.final != "quantised" or condition.extra != extra or not condition.sparsity:
            continue
        pruned = sweep.groups.get((env, Condition(condition.sparsity, "pruned")), ())
        by_seed = {run.seed: run for run in pruned}
        for run in runs:
            other = by_seed.get(run.seed)
            if other is not None and other.length == run.length:
                yield run, other


def best_after(run: Run, step: int) -> float | None:
    """The highest mean of the run's evaluations after ``step``, None where it has none."""
    found: dict[int, list[float]] = defaultdict(list)
    for episode in run.evaluations():
        if episode["step"] > step:
            found[episode["step"]].append(episode["return"])
    return max((float(np.mean(values)) for values in found.values()), default=None)


def differences(
    sweep: Sweep, checkpoint: str = "last", extra: str = ""
) -> dict[str, dict[int, FloatArray]]:
    """Environment, seed: quantised minus pruned as parts of the dense mean, one per sparsity.

    Environments without dense runs, or with a dense mean of 0, are left out. ``best`` is the best
    evaluation after T, where the twins part: a whole phase would give the pruned one more to choose
    from.
    """
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for ours, theirs in twins(sweep, extra):
        one, other = _value(ours, checkpoint), _value(theirs, checkpoint)
        like = Condition(theirs.sparsity, theirs.final)
        dense = sweep.dense(checkpoint, like, [ours.env]).get(ours.env)
        if one is not None and other is not None and dense is not None and np.mean(dense):
            found[ours.env][ours.seed].append((one - other) / abs(float(np.mean(dense))))
    return {
        env: {seed: np.array(values) for seed, values in seeds.items()}
        for env, seeds in found.items()
    }


def _value(run: Run, checkpoint: str) -> float | None:
    if checkpoint == "best":
        return best_after(run, run.total_timesteps)
    row = run.result(run.final, checkpoint)
    return None if row is None else row.return_mean
