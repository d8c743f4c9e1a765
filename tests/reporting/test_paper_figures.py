"""The paper's figures from a grid's result files, with its own curves beneath; made-up returns."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path

import pytest

from rlcompress.evaluation.plots import kept_axis
from rlcompress.evaluation.style import drawing, new_figure
from rlcompress.reporting.figures_allocations import return_by_allocation
from rlcompress.reporting.figures_results import return_against_sparsity
from rlcompress.reporting.inputs import read_runs
from rlcompress.reporting.sweep import Sweep
from tests.reporting.forge import write_run

PAPER = "paper (1 M steps)"
SCRIPT = Path(__file__).parents[2] / "experiments" / "paper" / "figures.py"


@pytest.fixture(scope="module")
def script():
    if not SCRIPT.is_file():
        pytest.skip("experiments/ is not here")
    with pytest.MonkeyPatch.context() as patch:  # It imports what lies beside it.
        patch.syspath_prepend(SCRIPT.parent)
        spec = importlib.util.spec_from_file_location("paper_figures", SCRIPT)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    place = tmp_path_factory.mktemp("grid")
    for variant, quant in {"none": "false", "int8": "true"}.items():
        for sparsity in (0.0, 0.9):
            for seed in range(2):
                path = place / "Hopper-v4" / variant / str(sparsity) / str(seed)
                words = f"variant={variant}"
                write_run(path, sparsity=sparsity, quant=quant, seed=seed, overrides=words)
    return place


def drawn(panel):
    """What the axes of a panel show: label to (x, y) of its line."""
    with drawing():
        figure = new_figure()
        panel.draw(figure)
        lines = figure.axes[0].get_lines()
        return {
            line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in lines
        }


def test_published_curves_lie_beneath_ours(grid, script):
    published = {"Hopper-v4": script.published("mlp")["Hopper-v4"]}
    (panel,) = return_against_sparsity(Sweep(read_runs(str(grid)).runs), published).panels
    found = drawn(panel)
    assert {"dense", "pruned", "quantised", f"{PAPER}, pruned", f"{PAPER}, quantised"} <= set(found)
    x, y = found[f"{PAPER}, quantised"]
    curve = published["Hopper-v4"][f"{PAPER}, quantised"]
    assert dict(zip(x, y, strict=True)) == {kept_axis(s): value for s, value in curve.items()}


def test_published_numbers_are_those_of_the_reference(script):
    source = SCRIPT.parents[3] / "shared" / "reference" / "paper_curves.csv"
    if not source.is_file():
        pytest.skip("the reference is not here")
    with source.open() as file:
        rows = list(csv.DictReader(file))
    networks = {"mlp": "mlp", "cnn": "nature_cnn", "resnet": "impala_resnet"}
    for row in rows:
        curves = script.published(networks[row["network"]])[row["env_id"]]
        sparsity = float(row["sparsity"])
        paper = next(iter(curves)).rsplit(",")[0]
        assert curves[f"{paper}, pruned"][sparsity] == float(row["return_80_89pct_pruned_fp32"])
        assert curves[f"{paper}, quantised"][sparsity] == float(row["return_110_130pct_pruned_qat"])


def test_the_script_writes_figure_4_and_says_what_the_pairs_say(
    grid, script, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", ["figures.py", str(grid), str(tmp_path)])
    script.main()
    said = capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"figure_4.png", "figure_4.svg"}
    assert "8-bit weights and activations, last checkpoints" in said
    assert "2 pairs: undecided" in said


def test_a_line_per_allocation(tmp_path):
    for allocation in ("global", "uniform", "erdos_renyi"):
        for sparsity in (0.9, 0.98):
            # The default is an allocation as well.
            words = "" if allocation == "erdos_renyi" else f"allocation={allocation}"
            path = tmp_path / f"{allocation}{sparsity}"
            write_run(path, sparsity=sparsity, overrides=words, allocation=allocation)
    write_run(tmp_path / "q", sparsity=0.9, quant="true")
    sweep = Sweep(read_runs(str(tmp_path)).runs)
    (panel,) = return_by_allocation(sweep).panels
    named = {label for label in drawn(panel) if not label.startswith("_")}
    assert named == {"erdos renyi", "erdos renyi, quantised", "uniform", "global"}


def test_no_figure_of_allocations_where_there_is_one(grid):
    assert return_by_allocation(Sweep(read_runs(str(grid)).runs)) is None


def test_a_packed_sweep_gives_the_same_figures_and_words(
    grid, script, tmp_path, monkeypatch, capsys
):
    collect = sys.modules["collect"]
    packed = tmp_path / "results" / "mujoco" / "Hopper-v4.jsonl"
    monkeypatch.setattr(sys, "argv", ["collect.py", str(grid), str(packed)])
    collect.main()
    assert "8 runs" in capsys.readouterr().out
    monkeypatch.setattr(script, "published", lambda network: {})
    monkeypatch.setattr(sys, "argv", ["figures.py", str(grid), str(tmp_path / "direct")])
    script.main()
    direct = capsys.readouterr().out.replace("direct", "")
    monkeypatch.setattr(script, "HERE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["figures.py"])
    script.main()
    assert capsys.readouterr().out == direct.replace("//", "/")
    again = read_runs(str(unpacked(collect, packed, tmp_path / "again"))).runs
    for one, other in zip(again, read_runs(str(grid)).runs, strict=True):
        assert one.results == other.results and one.overrides == other.overrides
        assert returns_of(one) == returns_of(other) != []


def unpacked(collect, packed, folder):
    collect.unpack(packed, folder)
    return folder


def returns_of(run):
    return [(e["variant"], e["step"], e["return"]) for e in run.evaluations()]


def test_a_panel_says_how_long_and_how_often(grid, script):
    sweep = Sweep(read_runs(str(grid)).runs)
    found = script.titled(sweep, "Hopper-v4", 50_000)
    assert found == "Hopper-v4: 10 k steps (20 % of the paper's), 2 seeds"
    assert script.titled(sweep, "Hopper-v4", 10**6).endswith(
        "(1 % of the paper's), 2 seeds, not converged"
    )
    assert script.titled(sweep, "Ant-v4", 10**6) == "Ant-v4: the paper's runs alone"
    unfinished = Sweep(sweep.runs[:-1])
    assert script.titled(unfinished, "Hopper-v4", 50_000).endswith(", 1 to 2 seeds")


def test_environments_that_we_did_not_run_show_the_papers_curves(grid):
    published = {"Ant-v4": {PAPER: {0.5: 1.0, 0.9: 2.0}}}
    ours, theirs = return_against_sparsity(Sweep(read_runs(str(grid)).runs), published).panels
    assert PAPER not in drawn(ours)
    assert drawn(theirs) == {PAPER: ([kept_axis(0.5), kept_axis(0.9)], [1.0, 2.0])}


def test_what_the_papers_own_numbers_say(script, monkeypatch):
    curves = {"pruned": {0.0: 1.0, 0.5: 100.0, 0.9: -10.0}}
    curves["quantised"] = {0.0: 9.0, 0.5: 90.0, 0.9: -9.5}
    monkeypatch.setattr(script, "published", lambda network: {"Ant-v4": curves})
    assert script.published_sentence("mlp").endswith("higher at 1 of 2 sparsities, median -2.5%")


@pytest.mark.parametrize("sparsities", [(0.98, 0.99), (0.5, 0.9, 0.99)])
def test_marks_of_one_sparsity_lie_as_far_apart_whatever_the_axis_spans(sparsities, tmp_path):
    for allocation in ("global", "uniform"):
        for sparsity in sparsities:
            path = tmp_path / f"{allocation}{sparsity}"
            words = f"allocation={allocation}"
            write_run(path, sparsity=sparsity, overrides=words, allocation=allocation)
    (panel,) = return_by_allocation(Sweep(read_runs(str(tmp_path)).runs)).panels
    found = drawn(panel)
    apart = found["global"][0][0] - found["uniform"][0][0]
    span = kept_axis(sparsities[-1]) - kept_axis(sparsities[0])
    assert apart / span == pytest.approx(0.011)
