"""What a search decides by: the request, hope, a trial's value; and runs that start and stop."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from rlcompress.evaluation.lossless import compare
from rlcompress.search import hope, runs, settings, study
from rlcompress.search.runs import Trainer, finished
from rlcompress.search.search import sparsity_if_kept
from rlcompress.training.errors import TrainingStopped
from rlcompress.training.lock import locked
from rlcompress.training.signals import caught_signals
from tests.integration.runs import SMALL

ASKED = settings.Settings(
    env="Hopper-v4",
    directory="searches/x",
    objective="sparsest",
    trials=3,
    seeds=2,
    train="budget=smoke",
    lowest=0.5,
    highest=0.99,
    allocations=["uniform"],
    variants=["int8"],
    margin=0.1,
    hopeless=-0.5,
    sampler_seed=0,
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"objective": "best"}, "objective must be one of sparsest, front, got best"),
        ({"trials": 0}, "trials must be at least 1, got 0"),
        ({"lowest": 0.99, "highest": 0.5}, "lowest < highest"),
        ({"highest": 1.0}, "lowest < highest"),
        ({"highest": 0.99999}, "highest must be at most 0.9999"),
        ({"variants": []}, "variants must name at least one"),
        ({"margin": 0.0}, "margin must be in"),
        ({"hopeless": -0.05}, "hopeless must be below -margin"),
        ({"objective": "front"}, "hopeless must be null"),
    ],
)
def test_wrong_requests_are_refused(change, said):
    settings.check(ASKED)
    with pytest.raises(ValueError, match=said):
        settings.check(replace(ASKED, **change))


@pytest.mark.parametrize(
    "change", [{"train": ""}, {"seeds": 3}, {"env": "Ant-v4"}, {"variants": ["none"]}]
)
def test_a_search_of_something_else_is_left_alone(change, tmp_path):
    asked = replace(ASKED, directory=str(tmp_path / "search"))
    settings.check_same(asked)
    settings.remember(asked)
    settings.check_same(replace(asked, trials=9, hopeless=None))
    settings.check_same(replace(asked, train=" budget=smoke\n"))
    with pytest.raises(ValueError, match=f"holds a search with {next(iter(change))}="):
        settings.check_same(replace(asked, **change))


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r"pip install 'rlcompress\[search\]'"):
        study.optuna()


def test_a_search_begun_again_tries_what_was_not_tried(tmp_path):
    """Else several on one folder, or one that is stopped often, would repeat each other."""
    pytest.importorskip("optuna")

    def choices(directory, processes):
        asked = replace(
            ASKED, directory=str(directory), trials=4, allocations=["uniform", "global"]
        )
        found = []
        for trials in [study.Trials(asked) for _ in range(processes)]:
            for _ in range(4 // processes):
                with trials.claimed() as trial:
                    found.append(trials.choose(trial))
                    trials.tell(trial, [0.5])
        return found

    alone = choices(tmp_path / "alone", 1)
    assert len(set(alone)) == 4
    assert choices(tmp_path / "stopped", 4) == alone
    assert choices(tmp_path / "again", 2) == alone


def test_sparser_is_better_until_something_is_lost():
    dense = {"x": [100.0] * 6}
    kept = compare({"x": [96, 97, 98, 99, 100, 101]}, dense)
    lost = compare({"x": [60, 65, 70, 75, 80, 85]}, dense)
    more = compare({"x": [0, 5, 10, 15, 20, 25]}, dense)
    assert sparsity_if_kept(0.98, kept) == 0.98
    assert 0 > sparsity_if_kept(0.99, lost) > sparsity_if_kept(0.5, more) >= -1


def test_the_interval_decides_where_there_is_one():
    dense = {"x": [100.0] * 6}
    wide = {"x": [40, 60, 90, 110, 120, 140]}
    assert compare(wide, dense).difference > -0.1
    assert sparsity_if_kept(0.9, compare(wide, dense)) < 0
    few = {"x": [90, 95, 98]}
    assert sparsity_if_kept(0.9, compare(few, {"x": [100.0] * 3})) == 0.9


def write(run, rows):
    run.mkdir(exist_ok=True)
    lines = [json.dumps({"step": s, "variant": v, "return": r}) for s, v, r in rows]
    (run / "eval.jsonl").write_text("\n".join(lines) + "\n" + '{"step": 9')
    return run


def test_hope_is_judged_at_the_final_sparsity_only(tmp_path):
    steps = range(100, 900, 100)
    dense = write(tmp_path / "dense", [(s, "dense", 100.0) for s in steps])
    phases = ["dense", "dense", "pruning", "pruning", "pruning", "pruned", "pruned", "quantised"]
    rows = [(s, p, 10.0 * i) for i, (s, p) in enumerate(zip(steps, phases, strict=True))]
    run = tmp_path / "run"
    assert hope.latest_difference(write(run, rows[:7]), [dense]) is None
    # Returns of 50, 60 and 70 against 100.
    assert hope.latest_difference(write(run, rows), [dense]) == (800, pytest.approx(-0.4))
    assert hope.latest_difference(tmp_path / "none", [dense]) is None


@pytest.fixture
def trainer():
    with caught_signals(print) as stop:
        yield Trainer((*SMALL, "sparsity=0.5"), stop)


def test_a_run_is_stopped_where_there_is_no_hope_and_resumed_where_there_is(trainer, tmp_path):
    run = tmp_path / "run"

    def begun():
        return len(hope.returns_by_step(run)) > 0

    assert not trainer.finish(run, ["seed=0"], begun)
    assert not (run / "summary.json").exists()
    assert list(run.glob("checkpoint/*.ckpt"))
    assert trainer.finish(run, ["seed=0"])
    assert finished(run).seed == 0
    assert "going on" in (run / "log.txt").read_text() or "resum" in (run / "log.txt").read_text()


def test_a_run_that_was_held_is_looked_at_again(trainer, tmp_path, monkeypatch):
    """What a killed search leaves running may end between our attempt and our look at it."""
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.setattr(runs, "holder", lambda run: None)
    with locked(run):
        assert trainer._train(run, ["seed=0"], lambda: False)
    assert "in use by process" in (run / "log.txt").read_text()


def test_a_run_that_fails_says_why(trainer, tmp_path):
    with pytest.raises(TrainingStopped, match=r"sparsity must be.*log\.txt"):
        trainer.finish(tmp_path / "run", ["seed=0", "sparsity=1.5"])
