"""Which runs are repeats of one another, and what they are measured by."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rlcompress.evaluation.resampling import Bootstrap
from rlcompress.evaluation.style import drawing, new_figure
from rlcompress.reporting import (
    blocks,
    figures_policies,
    figures_results,
    figures_runs,
    report,
    tables,
)
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


@pytest.fixture
def two_networks(tmp_path):
    """Nothing is lost in either, but one is worth half of the other."""
    for net, mean in (("[64,64]", 500.0), ("[256,256]", 1000.0)):
        for sparsity, seed in itertools.product((0.0, 0.9), range(5)):
            path = tmp_path / f"{net}{sparsity}{seed}"
            words = f"sac.net_arch={net} allocation=global" if sparsity else f"sac.net_arch={net}"
            write_run(path, sparsity=sparsity, seed=seed, mean=mean, overrides=words)
    return Sweep(read_runs(str(tmp_path)).runs)


def test_runs_are_measured_by_dense_runs_that_train_as_they_do(two_networks):
    table = [row for row in tables.rows(two_networks) if row.condition.sparsity]
    assert len(table) == 4
    assert all(abs(row.comparison.difference) < 0.06 for row in table)
    assert {row.comparison.verdict for row in table} == {"lossless"}
    # Of all of them together there is no such measure.
    assert two_networks.dense() == {}
    values = two_networks.normalised(table[0].condition)["Hopper-v4"]
    assert values == pytest.approx(1.0, abs=0.1)


def test_short_dense_runs_are_no_measure_of_long_ones(tmp_path):
    for seed in range(5):
        write_run(tmp_path / f"short{seed}", seed=seed, mean=100.0, total=1000)
        write_run(tmp_path / f"long{seed}", sparsity=0.9, seed=seed, mean=3000.0)
    (row, _) = [
        r for r in tables.rows(Sweep(read_runs(str(tmp_path)).runs)) if r.condition.sparsity
    ]
    assert row.comparison is None and row.improvement is None


def test_aggregates_are_over_the_same_environments(tmp_path):
    for env, sparsity in (("Ant-v4", 0.0), ("Hopper-v4", 0.0), ("Ant-v4", 0.5), ("Hopper-v4", 0.5)):
        write_run(tmp_path / f"{env}{sparsity}", env=env, sparsity=sparsity)
    write_run(tmp_path / "alone", env="Ant-v4", sparsity=0.9, mean=5000.0)
    sweep = Sweep(read_runs(str(tmp_path)).runs)
    picture = figures_results.aggregates(sweep)
    figure = new_figure(*picture.panels[0].size)
    with drawing():
        picture.panels[0].draw(figure)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert "0.5" in labels and "0.9" not in labels


def test_few_of_many_curves_are_said_to_be_few(sweep, monkeypatch):
    said = "Of each condition 2 runs are read."
    assert said not in figures_runs.learning_curves(sweep).caption
    monkeypatch.setattr("rlcompress.reporting.sweep.CURVE_RUNS", 2 * len(sweep.groups))
    assert said in figures_runs.learning_curves(sweep).caption


def test_kinds_of_quantisation_have_names_of_their_own(tmp_path):
    for variant in ("int8", "weights"):
        path = tmp_path / variant
        write_run(path, sparsity=0.9, quant="true", overrides=f"variant={variant}")
    sweep = Sweep(read_runs(str(tmp_path)).runs)
    (panel, *_) = figures_policies.quantisation(sweep).panels
    figure = new_figure(*panel.size)
    with drawing():
        panel.draw(figure)
    assert {line.get_label() for line in figure.axes[0].lines} >= {"0.9", "0.9, weights only"}


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
    assert last["Hopper-v4", "0.98, quantised"].improvement.value == 0
    assert last["Hopper-v4", "0.98, quantised"].comparison.difference == pytest.approx(
        -0.5, abs=0.1
    )
    smallest = tables.smallest_lossless(table, "Hopper-v4")
    assert smallest.condition.label == "0.5, quantised"
    assert len(table) == 2 * (5 * 2 + 5)


def test_runs_of_the_same_seeds_are_compared_with_their_twins(tmp_path):
    for seed in range(6):
        write_run(tmp_path / f"dense{seed}", seed=seed, mean=1000.0 * (seed + 1))
        # The last one's twin is another seed.
        other = seed + (seed == 5)
        for sparsity, ours in ((0.5, seed), (0.9, other)):
            mean = 970.0 * (seed + 1)
            write_run(tmp_path / f"{sparsity}{seed}", sparsity=sparsity, seed=ours, mean=mean)
    sweep = Sweep(read_runs(str(tmp_path)).runs)
    assert sweep.twins(Condition(0.5, "pruned")) == {"Hopper-v4"}
    assert sweep.twins(Condition(0.9, "pruned")) == set()
    found = {row.condition.sparsity: row for row in tables.rows(sweep) if row.checkpoint == "last"}
    apart, together = found[0.9].comparison, found[0.5].comparison
    assert together.difference == pytest.approx(apart.difference, abs=0.02)
    assert (together.verdict, apart.verdict) == ("lossless", "undecided")


def test_aggregates_are_in_the_rows_as_in_the_figure(sweep):
    pooled = [row for row in tables.rows(sweep) if row.env == tables.POOLED]
    row = next(row for row in pooled if row.condition.label == "0.5" and row.checkpoint == "last")
    assert set(row.aggregates) == {"IQM", "median", "mean", "optimality gap"}
    assert row.aggregates["mean"].value == pytest.approx(1 + row.comparison.difference)
    assert row.aggregates["IQM"].runs == 10
    written = row.as_json()["aggregates"]["IQM"]
    assert written["interval"]["low"] < written["value"] < written["interval"]["high"]


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
