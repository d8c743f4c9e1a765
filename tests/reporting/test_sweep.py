"""Which runs are repeats of one another, and what they are measured by."""

from __future__ import annotations

import numpy as np
import pytest

from rlcompress.evaluation.statistics import Bootstrap
from rlcompress.evaluation.style import drawing, new_figure
from rlcompress.reporting import blocks, figures_results, report, tables
from rlcompress.reporting.inputs import read_runs
from rlcompress.reporting.sweep import Condition, Sweep
from tests.reporting.forge import write_run, write_sweep


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return Sweep(read_runs(str(write_sweep(tmp_path_factory.mktemp("sweep")))).runs)


def test_conditions_hold_all_seeds(sweep):
    assert sweep.environments == ("Hopper-v4", "Pendulum-v1")
    assert [condition.label for condition in sweep.conditions] == [
        "dense",
        "quantised",
        "0.5",
        "0.5, quantised",
        "0.98, quantised",
    ]
    assert all([run.seed for run in runs] == list(range(5)) for runs in sweep.groups.values())


def test_scores_are_the_final_returns_of_a_checkpoint(sweep):
    condition = Condition(0.5, "quantised")
    last, best = sweep.scores(condition), sweep.scores(condition, "best")
    assert last["Hopper-v4"].shape == (5,)
    run = sweep.groups["Hopper-v4", condition][2]
    assert last["Hopper-v4"][2] == run.result("quantised").return_mean
    assert (best["Pendulum-v1"] > last["Pendulum-v1"]).all()


def test_dense_twins_are_the_measure(sweep, tmp_path):
    runs = sweep.groups["Hopper-v4", Condition(0.0, "dense")]
    expected = [run.result("dense").return_mean for run in runs]
    assert sweep.dense()["Hopper-v4"] == pytest.approx(expected)
    # Where there are none, what quantised runs of sparsity 0 were before: never what pruned runs
    # were when pruning began.
    for sparsity in (0.0, 0.5):
        write_run(tmp_path / str(sparsity), sparsity=sparsity, quant="true")
    alone = Sweep(read_runs(str(tmp_path)).runs)
    dense = next(run for run in alone.runs if run.sparsity == 0).result("dense")
    assert alone.dense()["Hopper-v4"] == pytest.approx([dense.return_mean])


def test_other_settings_tell_conditions_apart(tmp_path):
    for number, allocation in enumerate(("global", "uniform", "uniform")):
        words = f"allocation={allocation} eval_freq={number}"
        write_run(tmp_path / str(number), sparsity=0.5, seed=number, overrides=words)
    sweep = Sweep(read_runs(str(tmp_path)).runs)
    labels = {c.label: len(runs) for (_, c), runs in sweep.groups.items()}
    assert labels == {"0.5, allocation=global": 1, "0.5, allocation=uniform": 2}


def test_many_other_settings_get_a_number(tmp_path):
    for number in range(2):
        words = f"sac.learning_rate={number + 1}e-3 sac.batch_size={64 * (number + 1)}"
        write_run(tmp_path / str(number), sparsity=0.5, overrides=words)
    sweep = Sweep(read_runs(str(tmp_path)).runs)
    assert [c.label for c in sweep.conditions] == ["0.5, settings 1", "0.5, settings 2"]
    assert sweep.settings["settings 1"] == "sac.batch_size=128, sac.learning_rate=2e-3"


def test_curves_are_means_over_episodes_with_their_phases(sweep):
    (first, *_) = sweep.curves("Hopper-v4")[Condition(0.5, "quantised")]
    assert first.steps[-1] == 12_000
    assert [phase for phase, _ in first.by_phase()] == ["dense", "pruning", "pruned", "quantised"]
    episodes = sweep.groups["Hopper-v4", Condition(0.5, "quantised")][0].evaluations()[:3]
    assert first.returns[0] == pytest.approx(np.mean([row["return"] for row in episodes]))


def test_the_table_says_what_is_lossless(sweep):
    table = tables.rows(sweep)
    last = {(row.env, row.condition.label): row for row in table if row.checkpoint == "last"}
    for env in (*sweep.environments, tables.POOLED):
        assert last[env, "dense"].comparison is None
        assert last[env, "0.98, quantised"].comparison.verdict == "lossy"
    assert last["Hopper-v4", "0.5"].comparison.verdict == "lossless"
    assert last["Hopper-v4", "0.98, quantised"].improvement == 0
    assert last["Hopper-v4", "0.98, quantised"].comparison.difference == pytest.approx(
        -0.5, abs=0.1
    )
    smallest = tables.smallest_lossless(table, "Hopper-v4")
    assert smallest.condition.label == "0.5, quantised"
    assert len(table) == 2 * (5 * 2 + 5)


def test_a_condition_that_not_all_environments_have_is_not_pooled(tmp_path):
    for env in ("Hopper-v4", "Ant-v4", "Walker2d-v4"):
        for sparsity in (0.0, 0.5, 0.9):
            if (env, sparsity) != ("Ant-v4", 0.9):
                write_run(tmp_path / env / str(sparsity), env=env, sparsity=sparsity)
    found = tables.rows(Sweep(read_runs(str(tmp_path)).runs))
    pooled = {row.condition.label for row in found if row.env == tables.POOLED}
    assert pooled == {"dense", "0.5"}


def test_the_level_that_was_asked_for_is_that_of_tables_and_figures(tmp_path):
    for sparsity in (0.0, 0.9):
        for seed in range(6):
            write_run(tmp_path / f"{sparsity}{seed}", sparsity=sparsity, seed=seed)
    runs = read_runs(str(tmp_path)).runs
    wide, narrow = Sweep(runs, Bootstrap(0.99)), Sweep(runs, Bootstrap(0.5))
    for sweep, said in ((wide, "99 % bootstrap"), (narrow, "50 % bootstrap")):
        pictures = [picture for picture in report.pictures(sweep) if "bootstrap" in picture.caption]
        assert len(pictures) >= 3
        assert all(f"{sweep.how.level:.0%}".replace("%", " %") in p.caption for p in pictures)
        assert said in blocks.results(sweep, tables.rows(sweep))
    heights = [bar_height(figures_results.return_against_bytes(sweep)) for sweep in (wide, narrow)]
    assert heights[0] > 1.5 * heights[1]


def bar_height(picture):
    """The longest vertical bar of its first panel."""
    with drawing():
        figure = new_figure()
        picture.panels[0].draw(figure)
        lines = [line for axes in figure.axes for line in axes.get_lines()]
        return max(float(np.ptp(line.get_ydata())) for line in lines if line.get_linewidth() == 6)


def test_rows_of_runs_hold_both_checkpoints(sweep):
    rows = list(tables.run_rows(sweep))
    assert len(rows) == 2 * len(sweep.runs)
    assert {row["variant"] for row in rows} == {"dense", "pruned", "quantised"}
