"""The smoke grid of the paper's experiment, killed at random moments, and two of it at once."""

from __future__ import annotations

import random
import re
import signal
import time
from pathlib import Path

import pytest

from rlcompress.reporting.inputs import read_runs
from rlcompress.reporting.sweep import Sweep
from rlcompress.reporting.tables import run_rows
from rlcompress.training.sweep_status import job_directories, read_status
from tests.slow.sweeps import PATIENCE_S, ended, said, start, wait
from tests.training.kills import assert_same

pytestmark = pytest.mark.slow

GRID = (
    "+experiment=paper_mujoco",
    "budget=smoke",
    "total_timesteps=400",
    "pruning.updates=15",
    "sac.net_arch=[16,16]",
    "sac.learning_starts=30",
    "sac.batch_size=16",
    "eval_freq=60",
    "eval_episode_steps=12",
    "final_episodes=1",
    "parity_observations=12",
    "checkpoint_freq=20",
)
JOBS, KILLS = 4, 4


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    directory = tmp_path_factory.mktemp("alone") / "sweep"
    ended(start(directory, *GRID), directory)
    return directory


def assert_same_results(directory: Path, alone: Path) -> None:
    jobs = [path.relative_to(alone) for path in job_directories(alone)]
    assert len(jobs) == JOBS
    assert [path.relative_to(directory) for path in job_directories(directory)] == jobs
    for job in jobs:
        assert_same(directory / job, alone / job)
    assert results(directory) == results(alone)
    assert len(read_status(directory).of("done")) == JOBS


def results(directory: Path) -> list[dict[str, object]]:
    """What a report of the sweep writes as ``results.jsonl``."""
    inputs = read_runs(str(directory))
    assert not inputs.skipped
    return list(run_rows(Sweep(inputs.runs)))


def test_kills_at_random_moments(alone, tmp_path):
    directory, moments = tmp_path / "sweep", random.Random(0)
    directory.mkdir()
    for _ in range(KILLS):
        sweep = start(directory, *GRID)
        # Not while Python is still being loaded: there is nothing to disturb then.
        wait(lambda: read_status(directory).of("running"), sweep, directory)
        # Altogether less than the jobs take, or the last kill would find nothing to disturb.
        time.sleep(moments.uniform(0, 3))
        assert sweep.poll() is None, said(directory)
        sweep.send_signal(signal.SIGKILL)
        sweep.wait()
    ended(start(directory, *GRID), directory)
    assert_same_results(directory, alone)


def test_two_sweeps_in_one_folder(alone, tmp_path):
    """Both go on beside each other; one of them is killed, the other takes over what it held."""
    directory = tmp_path / "sweep"
    directory.mkdir()
    first = start(directory, *GRID)
    wait(lambda: read_status(directory).of("running"), first, directory)
    second = start(directory, *GRID)
    wait(lambda: "held: " in said(directory), first, directory)
    line = next(line for line in said(directory).splitlines() if line.startswith("held: "))
    assert re.search(rf"run directory \S+ is in use by process {first.pid} on ", line)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert second.wait(PATIENCE_S) == 0, said(directory)
    ended(start(directory, *GRID), directory)
    assert_same_results(directory, alone)
