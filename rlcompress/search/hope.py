"""Whether a run that is under way can still be one that loses nothing; stops nothing itself."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

LATEST = 3
"""Evaluations that are averaged: a single one may be a stumble."""

COMPRESSED = ("pruned", "quantised")


def returns_by_step(run: Path, phases: Sequence[str] | None = None) -> dict[int, float]:
    """Mean return of every evaluation of a run, by its step; of some phases only, if named."""
    path = run / "eval.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    found: dict[int, list[float]] = defaultdict(list)
    for row in map(json.loads, lines):
        if phases is None or row["variant"] in phases:
            found[row["step"]].append(row["return"])
    return {step: float(np.mean(values)) for step, values in sorted(found.items())}


def latest_difference(run: Path, dense: Sequence[Path]) -> tuple[int, float] | None:
    """Step and relative difference of a compressed run's latest evaluations from dense runs'.

    (ours - dense) / abs(dense), means over the last ``LATEST`` steps that both have; None before
    the run has as many at its final sparsity, or where the dense mean is 0.
    """
    ours = returns_by_step(run, COMPRESSED)
    theirs = [returns_by_step(path) for path in dense]
    steps = [step for step in ours if all(step in one for one in theirs)][-LATEST:]
    if len(steps) < LATEST:
        return None
    base = float(np.mean([[one[step] for step in steps] for one in theirs]))
    if base == 0:
        return None
    return steps[-1], (float(np.mean([ours[step] for step in steps])) - base) / abs(base)
