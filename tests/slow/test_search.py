"""Searches for real, with Optuna: killed and started again, two at once, on the way to a front."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rlcompress.search.study import Trials
from rlcompress.training.sweep_status import job_directories
from tests.search.test_search import ASKED

pytestmark = pytest.mark.slow

TINY = (
    "budget=smoke total_timesteps=200 sac.net_arch=[16,16] sac.learning_starts=30 "
    "sac.batch_size=16 pruning.updates=10 eval_freq=40 eval_episode_steps=20 final_episodes=1 "
    "parity_observations=12 checkpoint_freq=40"
)
PATIENCE_S = 400


def start(directory: Path, *words: str) -> subprocess.Popen[bytes]:
    common = ["env=Hopper-v4", f'train="{TINY}"', f"directory={directory}", "highest=0.9"]
    command = [sys.executable, "-m", "rlcompress.search", *common, *words]
    with open(f"{directory}.log", "ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def said(directory: Path) -> str:
    return Path(f"{directory}.log").read_text(errors="replace")


def test_killed_and_started_again_twice_at_once(tmp_path):
    pytest.importorskip("optuna")
    directory = tmp_path / "search"
    words = ("trials=4", "seeds=1")
    first = start(directory, *words)
    deadline = time.monotonic() + PATIENCE_S
    while not (directory / "trials" / "0001").exists():
        assert first.poll() is None and time.monotonic() < deadline, said(directory)
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    both = [start(directory, *words) for _ in range(2)]
    for process in both:
        assert process.wait(PATIENCE_S) == 0, said(directory)
    found = json.loads((directory / "result.json").read_text())
    assert sum(found["trials"].values()) == 4
    assert found["trials"]["fail"] == 0
    trials = sorted(path.name for path in (directory / "trials").iterdir() if path.is_dir())
    assert trials == ["0000", "0001", "0002", "0003"]
    assert len(list(job_directories(directory))) == 5
    for best in found["best"]:
        assert 0.5 <= best["sparsity"] <= 0.9
        assert best["difference"] > -0.1


@pytest.fixture
def asked(tmp_path):
    pytest.importorskip("optuna")
    return replace(ASKED, directory=str(tmp_path / "search"), trials=2)


def test_a_trial_without_hope_is_told_from_one_that_has_some(asked):
    trials = Trials(asked)
    with trials.claimed() as trial:
        trials.choose(trial)
        assert not trials.hopeless(trial, -0.2, 100)
        assert trials.hopeless(trial, -0.6, 200)
        trials.tell(trial, None)
    (ended,) = trials.ended()
    assert ended.state.name == "PRUNED"
    assert trials.best() == []


def test_of_many_seeds_one_bad_one_leaves_hope(asked):
    trials = Trials(replace(asked, seeds=10))
    with trials.claimed() as trial:
        trials.choose(trial)
        assert not trials.hopeless(trial, -0.9, 100)
        assert trials.hopeless(trial, -1.1, 200)


def test_an_abandoned_trial_is_taken_up_with_its_choices_and_a_held_one_is_not(asked):
    first, second = Trials(asked), Trials(asked)
    with first.claimed() as abandoned:
        chosen = first.choose(abandoned)
    with second.claimed() as taken:
        assert taken.number == abandoned.number
        assert second.choose(taken) == chosen
        with first.claimed() as other:
            assert other.number == 1
            first.choose(other)
            first.fail(other, "no luck")
        second.tell(taken, [chosen.sparsity], verdict="undecided")
    with first.claimed() as none:
        assert none is None
    assert [trial.state.name for trial in second.ended()] == ["COMPLETE", "FAIL"]
    assert [trial.number for trial in first.best()] == [0]


def test_a_front_of_return_bytes_and_latency(tmp_path):
    pytest.importorskip("optuna")
    directory = tmp_path / "search"
    process = start(directory, "objective=front", "trials=3", "seeds=1", "variants=[int8,none]")
    assert process.wait(PATIENCE_S) == 0, said(directory)
    found = json.loads((directory / "result.json").read_text())
    assert found["trials"] == {"complete": 3, "pruned": 0, "fail": 0}
    assert found["best"]
    for best in found["best"]:
        assert best["bytes"] > 100 and 0 < best["latency_us"] < 10_000
