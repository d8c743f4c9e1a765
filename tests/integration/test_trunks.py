"""Runs of a sweep that share their beginnings end as runs do that share nothing."""

import json
import shutil
import threading
import time

import pytest

from rlcompress.sweep_jobs import asked_jobs
from rlcompress.training import finish
from rlcompress.training.lock import locked
from rlcompress.training.sweep_status import read_status
from tests.integration.runs import SMALL, train_main

TWINS = ("extra_fraction=0.2", "checkpoint_freq=1000")
JOBS = {
    "half": ("sparsity=0.5",),
    "most": ("sparsity=0.8", "allocation=uniform"),
    "half_int8": ("sparsity=0.5", "quant=true"),
    "half_weights": ("sparsity=0.5", "quant=true", "quantisation.activation_bits=null"),
    "dense_ptq": ("sparsity=0", "quant=ptq"),
}


@pytest.fixture(autouse=True)
def small_calibration(monkeypatch):
    """To play thousands of steps for the scales of a rounded policy would be half of the time."""
    monkeypatch.setattr(finish, "sample_size", lambda model: 64)


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


def test_a_beginning_that_was_made_otherwise_says_so(tmp_path, capsys):
    common = (*SMALL, f"trunks={tmp_path / 'trunks'}")
    assert train_main(tmp_path / "first", *common, "sparsity=0.5") == 0
    (trunk,) = (tmp_path / "trunks").glob("*/ready")
    path = trunk / "environment.json"
    record = json.loads(path.read_text())
    path.unlink()  # It has a second name in the first run.
    path.write_text(json.dumps(record | {"git": "abc"}))
    capsys.readouterr()
    assert train_main(tmp_path / "second", *common, "sparsity=0.8") == 0
    ours = json.loads((tmp_path / "second" / "environment.json").read_text())
    assert f"these steps were made otherwise: git abc -> {ours['git']}" in capsys.readouterr().out
    assert (ours["begun_by"]["steps"], ours["begun_by"]["git"]) == (60, "abc")
    untouched = json.loads((tmp_path / "first" / "environment.json").read_text())
    assert untouched["git"] == ours["git"] and "begun_by" not in untouched


def test_other_seeds_and_environments_share_nothing(tmp_path, capsys):
    trunks = f"trunks={tmp_path / 'trunks'}"
    for index, other in enumerate(("seed=0", "seed=1", "sac.learning_rate=1e-4", "n_envs=2")):
        run = tmp_path / str(index)
        assert train_main(run, *SMALL, "sparsity=0.5", other, trunks) == 0
    assert "of another run" not in capsys.readouterr().out


PPO = ("env=CartPole-v1", "algo=ppo", "n_envs=4", "ppo.n_steps=16", "ppo.batch_size=32")


@pytest.mark.parametrize(("total", "shared"), [("640", True), ("600", False)])
def test_on_policy_runs_share_only_what_ends_with_a_rollout(total, shared, tmp_path, capsys):
    """0.2 T is two rollouts of 64, or in the middle of one that prunes as well."""
    common = (*PPO, *SMALL[1:2], f"total_timesteps={total}", "pruning.updates=20", "eval_freq=64")
    said = {}
    jobs = {"half": (), "most": ("sparsity=0.8",), "int8": ("quant=true", "extra_fraction=0.5")}
    for name, overrides in jobs.items():
        asked = (*common, "sparsity=0.5", *overrides)
        assert train_main(tmp_path / name, *asked, f"trunks={tmp_path / 'trunks'}") == 0
        said[name] = capsys.readouterr().out
        assert train_main(tmp_path / "alone" / name, *asked) == 0
        assert results(tmp_path / name) == results(tmp_path / "alone" / name), name
    assert ("of another run" in said["most"]) is shared


def test_on_policy_quantisation_begins_with_the_run_that_calibrates(tmp_path, capsys):
    common = (*PPO, *SMALL[1:2], "total_timesteps=640", "eval_freq=64", "extra_fraction=0.5")
    for name, quant in {"float": "false", "int8": "true", "ptq": "ptq"}.items():
        asked = (*common, "sparsity=0", f"quant={quant}")
        assert train_main(tmp_path / name, *asked, f"trunks={tmp_path / 'trunks'}") == 0
        assert train_main(tmp_path / "alone" / name, *asked) == 0
        assert results(tmp_path / name) == results(tmp_path / "alone" / name), name


def test_a_job_that_is_continued_alone_keeps_the_beginnings_of_its_sweep(tmp_path, capsys):
    sweep = ("-m", "trunks=${hydra:sweep.dir}/trunks", "hydra.sweep.subdir=${sparsity}")
    assert train_main(tmp_path, *sweep, *SMALL, "sparsity=0.5,0.8") == 0
    run = tmp_path / "0.8"
    begun = {job.words for job in read_status(tmp_path).jobs}
    assert begun == set(asked_jobs(tmp_path)) and len(begun) == 2
    expected = results(run)
    (run / "summary.json").unlink()
    shutil.rmtree(run / "checkpoint")
    shutil.rmtree(run / "phases")
    capsys.readouterr()
    assert train_main(run, "resume=true") == 0
    assert f"60 steps of another run: {tmp_path / 'trunks'}" in capsys.readouterr().out
    assert results(run) == expected


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
