"""Runs of a sweep that share their beginnings end as runs do that share nothing."""

import json
import threading
import time

import pytest

from rlcompress.training.lock import locked
from tests.integration.runs import SMALL, train_main

TWINS = ("extra_fraction=0.2", "checkpoint_freq=1000")
JOBS = {
    "half": ("sparsity=0.5",),
    "most": ("sparsity=0.8", "allocation=uniform"),
    "half_int8": ("sparsity=0.5", "quant=true"),
    "half_weights": ("sparsity=0.5", "quant=true", "quantisation.activation_bits=null"),
    "dense_ptq": ("sparsity=0", "quant=ptq"),
}


def results(directory):
    names = ["actor.rlc", *(f"phases/{p.name}" for p in (directory / "phases").glob("*.rlc"))]
    found = {name: (directory / name).read_bytes() for name in names}
    return found | {"eval": (directory / "eval.jsonl").read_text()}


def test_runs_that_share_their_beginnings_end_as_others_do(tmp_path, capsys):
    trunks, said = tmp_path / "trunks", {}
    for name, overrides in JOBS.items():
        assert train_main(tmp_path / name, *SMALL, *TWINS, *overrides, f"trunks={trunks}") == 0
        said[name] = capsys.readouterr().out
        assert train_main(tmp_path / "alone" / name, *SMALL, *TWINS, *overrides) == 0
        assert "of another run" not in capsys.readouterr().out
        assert results(tmp_path / name) == results(tmp_path / "alone" / name), name
    shared = {
        name: [s for s in (60, 300) if f"after {s} steps of another" in said[name]] for name in JOBS
    }
    assert shared == {
        "half": [],
        "most": [60],
        "half_int8": [300],
        "half_weights": [300],
        "dense_ptq": [],
    }
    assert len(list(trunks.glob("*/ready"))) == 4


def test_other_seeds_and_environments_share_nothing(tmp_path, capsys):
    trunks = f"trunks={tmp_path / 'trunks'}"
    for index, other in enumerate(("seed=0", "seed=1", "sac.learning_rate=1e-4", "n_envs=2")):
        run = tmp_path / str(index)
        assert train_main(run, *SMALL, "sparsity=0.5", other, trunks) == 0
    assert "of another run" not in capsys.readouterr().out


def test_a_run_waits_for_one_that_is_under_way_to_what_both_need(tmp_path, capsys):
    trunks = tmp_path / "trunks"
    common = (*SMALL, "sparsity=0.5", f"trunks={trunks}")
    assert train_main(tmp_path / "first", *common) == 0
    (trunk,) = trunks.glob("*/ready")
    hidden = trunk.rename(trunk.with_name("hidden"))

    def first():
        with locked(trunk.parent):
            time.sleep(2)
            hidden.rename(trunk)

    other = threading.Thread(target=first)
    other.start()
    assert train_main(tmp_path / "second", *common) == 0
    other.join()
    out = capsys.readouterr().out
    assert "waiting for the run that is under way" in out
    assert "going on after 60 steps of another run" in out


@pytest.mark.parametrize("lost", ["checkpoint", "everything"])
def test_a_run_killed_after_it_took_a_trunk_goes_on(lost, tmp_path, capsys):
    common = (*SMALL, "sparsity=0.5", f"trunks={tmp_path / 'trunks'}")
    assert train_main(tmp_path / "first", *common) == 0
    run = tmp_path / "first"
    expected = results(run)
    # As if it had been killed while it copied.
    (run / "summary.json").unlink()
    for path in (run / "checkpoint").rglob("*"):
        if path.is_file():
            path.unlink()
    if lost == "everything":
        for path in (run / "phases").glob("*"):
            path.unlink()
    capsys.readouterr()
    assert train_main(run, "resume=true") == 0
    out = capsys.readouterr().out
    assert "starting from the beginning" in out
    assert "going on after 60 steps of another run" in out
    assert results(run) == expected
    steps = [json.loads(line)["step"] for line in expected["eval"].splitlines()]
    assert steps == sorted(steps)
