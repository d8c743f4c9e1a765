"""The entry point from the command line, and what it leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rlcompress.artifact import CompressedPolicy
from rlcompress.binary.policy import thaw
from rlcompress.evaluation.curves import curve_of_episodes
from rlcompress.probe.source import open_source
from rlcompress.probe.stream import played
from rlcompress.reporting.inputs import read_runs
from rlcompress.reporting.sweep import Sweep
from rlcompress.reporting.tables import rows
from rlcompress.runtime.reference import Reference
from tests.reporting.forge import write_run


def train(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rlcompress.binary.train", f"hydra.run.dir={directory}"]
    return subprocess.run([*command, *words], capture_output=True, text=True, check=False)


def lines(directory: Path) -> list[dict]:
    return [json.loads(line) for line in (directory / "eval.jsonl").read_text().splitlines()]


def test_without_native_code_on_request(tmp_path: Path) -> None:
    words = ("env=CartPole-v1", "isa=numpy", "generations=1", "nes.population=4", "hidden=[4]")
    done = train(tmp_path / "run", *words)
    assert done.returncode == 0, done.stderr


def test_a_run_solves_cartpole_and_describes_itself(tmp_path: Path) -> None:
    done = train(tmp_path / "run", "env=CartPole-v1", "draw_every=1000")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["stopped_at"] >= 475
    assert summary["size_bytes"]["weights"] == 520
    policy = CompressedPolicy.load(tmp_path / "run" / "actor.rlc")
    golden = policy.golden
    assert golden is not None
    assert np.array_equal(Reference(policy)(golden.observations), golden.actions)
    assert np.array_equal(thaw(policy).act(golden.observations), golden.actions)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"command.txt", "environment.json", ".hydra", "eval.jsonl", "films"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    again = train(tmp_path / "run", "env=CartPole-v1")
    assert again.returncode == 2 and "holds another run" in again.stderr


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    words = ["stop_early=false", "checkpoint_every=3", "map_episodes=2", "board_every=0"]
    words += ["final_episodes=2", "hidden=[8]"]
    whole = train(tmp_path / "whole", *words, "generations=8")
    assert whole.returncode == 0, whole.stderr
    first = train(tmp_path / "cut", *words, "generations=8")
    assert first.returncode == 0, first.stderr
    # As if it had died after generation 7, whose checkpoint is of generation 6.
    for name in ("summary.json", "actor.rlc"):
        (tmp_path / "cut" / name).unlink()
    again = train(tmp_path / "cut", "resume=true")
    assert again.returncode == 0, again.stderr
    assert lines(tmp_path / "cut") == lines(tmp_path / "whole")
    found = [
        CompressedPolicy.load(tmp_path / name / "actor.rlc").to_bytes() for name in ("cut", "whole")
    ]
    assert found[0] == found[1]


def test_a_run_stands_beside_pruned_ones(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    done = train(sweep / "bits", "generations=2", "board_every=0", "final_episodes=3")
    assert done.returncode == 0, done.stderr
    write_run(sweep / "pruned", env="CartPole-v1", sparsity=0.9, quant="true", mean=300.0)
    summary = json.loads((sweep / "bits" / "summary.json").read_text())
    found = {run.name: run for run in read_runs(str(sweep)).runs}
    bits = found["bits"]
    assert (bits.final, bits.kind, bits.sparsity, bits.algo) == ("binary", "binary", 0.0, "nes")
    last = bits.result("binary")
    assert last is not None and last.return_mean == summary["rows"][0]["return_mean"]
    assert (last.weights, last.weights_kept, last.paper_factor) == (4160, 4160, 32.0)
    assert last.size_bytes == summary["policy_bytes"]
    curve = curve_of_episodes(bits.evaluations())
    assert curve is not None and curve.phases == ("binary", "binary")
    sweep_of = Sweep(tuple(found.values()))
    table = {row.condition.label: row for row in rows(sweep_of) if row.checkpoint == "last"}
    assert set(table) == {"binary", "0.9, quantised"}
    # A binary run is no dense twin, however little it is pruned.
    assert sweep_of.dense() == {} and table["0.9, quantised"].comparison is None
    command = [sys.executable, "-m", "rlcompress.report", f"runs={sweep}", f"out={tmp_path / 'r'}"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0 and "2 runs" in told.stdout, told.stdout + told.stderr
    page = (tmp_path / "r" / "report.html").read_text()
    assert 'style="background: var(--binary)"' in page
    assert "skipped" not in told.stdout


def test_the_probe_knows_the_environment(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = train(run, "generations=1", "board_every=0", "final_episodes=1", "hidden=[8]")
    assert done.returncode == 0, done.stderr
    policy = CompressedPolicy.load(run / "actor.rlc")
    assert policy.meta["env_id"] == "CartPole-v1" and policy.meta["variant"] == "binary"
    found, where = played(policy, 5, seed=0)
    assert found is not None and found.shape == (5, 4)
    assert "CartPole-v1" in where
    assert open_source(run / "actor.rlc").name == "CartPole-v1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["env=Nowhere-v0"], "Nowhere"),
        (["nes.population=3"], "even with antithetic"),
        (["encoder.low=[0]"], "must have 4 numbers each"),
        (["decoder=octal"], "decoder must be"),
        (["isa=mmx"], "isa must be"),
        (["generations=0"], "generations must be at least 1"),
        (["nes.popolation=8"], "popolation"),
        (["resume=true"], "holds no run"),
    ],
)
def test_wrong_requests_are_one_line(tmp_path: Path, words: list[str], message: str) -> None:
    done = train(tmp_path / "run", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
