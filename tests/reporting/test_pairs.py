"""Twins of a grid: found by seed, sparsity and length, made into parts of the dense mean."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rlcompress.reporting.inputs import read_runs
from rlcompress.reporting.pairs import differences, twins
from rlcompress.reporting.sweep import WEIGHTS_ONLY, Condition, Sweep
from tests.reporting.forge import TOTAL, write_run

KINDS = {"none": "false", "int8": "true", "weights": "true"}


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """Laid out as the paper's experiment lays it out; made-up returns."""
    place = tmp_path_factory.mktemp("grid")
    for variant, quant in KINDS.items():
        for sparsity in (0.0, 0.9, 0.98):
            for seed in range(3):
                if (variant, sparsity, seed) == ("int8", 0.98, 2):
                    continue
                path = place / "Hopper-v4" / variant / str(sparsity) / str(seed)
                words = f"+experiment=paper_mujoco variant={variant}"
                write_run(path, sparsity=sparsity, quant=quant, seed=seed, overrides=words)
    # The beginnings that runs share lie in the sweep's folder, and are no runs.
    shared = write_run(place / "trunks" / "Hopper-v4-seed0" / "ready")
    (shared / "summary.json").unlink()
    return place


def test_the_grid_has_the_conditions_of_the_paper(grid):
    inputs = read_runs(str(grid))
    assert not inputs.skipped
    assert [c.label for c in Sweep(inputs.runs).conditions] == [
        "dense",
        "quantised",
        "quantised, weights only",
        "0.9",
        "0.9, quantised",
        "0.9, quantised, weights only",
        "0.98",
        "0.98, quantised",
        "0.98, quantised, weights only",
    ]


def test_twins_share_seed_and_sparsity(grid):
    found = [(a.sparsity, a.seed, b.seed) for a, b in twins(Sweep(read_runs(str(grid)).runs))]
    assert found == [(0.9, n, n) for n in range(3)] + [(0.98, n, n) for n in range(2)]


def test_differences_are_parts_of_the_dense_mean(grid):
    sweep = Sweep(read_runs(str(grid)).runs)
    found = differences(sweep)["Hopper-v4"]
    assert {seed: values.size for seed, values in found.items()} == {0: 2, 1: 2, 2: 1}
    ours = sweep.groups["Hopper-v4", Condition(0.9, "quantised")][1].result("quantised")
    theirs = sweep.groups["Hopper-v4", Condition(0.9, "pruned")][1].result("pruned")
    dense = np.mean(sweep.dense()["Hopper-v4"])
    assert found[1][0] == pytest.approx((ours.return_mean - theirs.return_mean) / dense)
    weights = differences(sweep, extra=WEIGHTS_ONLY)["Hopper-v4"]
    assert {seed: values.size for seed, values in weights.items()} == {0: 2, 1: 2, 2: 2}


def test_the_best_of_twins_is_chosen_from_what_both_trained_apart(tmp_path):
    """The pruned twin was best before T, which the quantised one shares and cannot choose from."""
    for sparsity, quant in ((0.0, "false"), (0.9, "false"), (0.9, "true")):
        write_run(tmp_path / f"{sparsity}{quant}", sparsity=sparsity, quant=quant)
    path = tmp_path / "0.9false" / "eval.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    early = [row | {"return": 9e9} if row["step"] == TOTAL else row for row in rows]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in early))
    sweep = Sweep(read_runs(str(tmp_path)).runs)
    late = [
        np.mean([e["return"] for e in run.evaluations() if e["step"] == step])
        for run in sweep.runs[1:]
        for step in (TOTAL + TOTAL // 10, TOTAL + TOTAL // 5)
    ]
    dense = np.mean(sweep.dense("best")["Hopper-v4"])
    (found,) = differences(sweep, "best")["Hopper-v4"][0]
    assert found == pytest.approx((max(late[2:]) - max(late[:2])) / dense)
