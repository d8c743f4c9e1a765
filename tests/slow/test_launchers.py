"""Sweeps on SLURM, on a Ray cluster of two nodes and on joblib, real ones, with jobs that die."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from rlcompress.training.sweep_status import read_status, scheduler_log
from tests.slow import slurm
from tests.slow.sweeps import SWEEP, ended, said, saved, start, wait
from tests.training.kills import assert_same

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same sweep, one job after the other, undisturbed."""
    directory = tmp_path_factory.mktemp("alone") / "sweep"
    ended(start(directory, *SWEEP), directory)
    return directory


def assert_same_sweep(directory: Path, alone: Path) -> None:
    for seed in ("0", "1"):
        assert_same(directory / seed, alone / seed)
        assert "rlcompress.train" in (directory / seed / "command.txt").read_text()


def process_in(run: Path) -> int:
    """Who holds the lock of a run."""
    found = re.match(r"process (\d+) on", (run / ".lock").read_text())
    assert found
    return int(found[1])


def parent_of(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("PPid:")[1].split()[0])


def ask(*command: str, environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def slurm_cluster(tmp_path):
    if slurm.missing():
        pytest.skip(f"a SLURM of our own needs {', '.join(slurm.missing())}")
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    place = tmp_path / "slurm"
    place.mkdir()
    with slurm.cluster(place) as found:
        yield found


ON_SLURM = ("hydra/launcher=slurm", "hydra.launcher.mem_gb=1", "hydra.launcher.timeout_min=30")


def restarts(environment: dict[str, str]) -> list[int]:
    jobs = ask("scontrol", "show", "job", environment=environment)
    return [int(n) for n in re.findall(r"Restarts=(\d+)", jobs)]


def assert_resumed(directory: Path) -> None:
    """Every job went on from a checkpoint: from its beginning it would end the same."""
    for job in read_status(directory).jobs:
        log = scheduler_log(job.path, directory)
        assert log is not None, job.path
        assert re.search(r"continuing after [1-9]\d* steps", log.read_text()), log.read_text()


def test_slurm(alone, slurm_cluster, tmp_path):
    """One job is told to stop and queues itself again, one is queued again by an operator."""
    directory, environment = tmp_path / "sweep", slurm_cluster.environment
    sweep = start(directory, *SWEEP, *ON_SLURM, environment=environment)
    try:
        for seed, command in (("0", "scancel --signal=USR2"), ("1", "scontrol requeue")):
            wait(lambda run=directory / seed: saved(run), sweep, directory)
            queue = ask("squeue", "--noheader", "--array", "-o", "%F_%K", environment=environment)
            job = next(name for name in queue.split() if name.endswith(f"_{seed}"))
            ask(*command.split(), job, environment=environment)
        ended(sweep, directory)
        assert restarts(environment) == [1, 1]
    finally:
        sweep.kill()
    assert_same_sweep(directory, alone)
    assert_resumed(directory)


def test_slurm_loses_a_machine(alone, slurm_cluster, tmp_path):
    """Both jobs are killed with the node they are on, and queued again when it is back."""
    directory = tmp_path / "sweep"
    sweep = start(directory, *SWEEP, *ON_SLURM, environment=slurm_cluster.environment)
    try:
        for seed in ("0", "1"):
            wait(lambda run=directory / seed: saved(run), sweep, directory)
        slurm_cluster.machine_dies()
        ended(sweep, directory)
        assert restarts(slurm_cluster.environment) == [1, 1]
    finally:
        sweep.kill()
    assert_same_sweep(directory, alone)
    assert_resumed(directory)


def test_ray(alone, tmp_path):
    """Two nodes of one core each; one worker is killed, then the machine that the other is on."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    directory = tmp_path / "sweep"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        words = ("hydra/launcher=ray", f"hydra.launcher.address={cluster.address}")
        sweep = start(directory, *SWEEP, *words)
        try:
            wait(lambda: saved(directory / "0"), sweep, directory)
            os.kill(process_in(directory / "0"), signal.SIGKILL)
            wait(lambda: saved(directory / "1"), sweep, directory)
            raylet = parent_of(process_in(directory / "1"))
            node = next(n for n in nodes if n.all_processes["raylet"][0].process.pid == raylet)
            cluster.remove_node(node, allow_graceful=False)
            ended(sweep, directory)
        finally:
            sweep.kill()
    finally:
        cluster.shutdown()
    assert_same_sweep(directory, alone)
    assert len(re.findall(r"continuing after [1-9]\d* steps", said(directory))) == 2


def test_joblib(alone, tmp_path):
    """A worker is killed, which ends the sweep in one line; the same command goes on."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    directory = tmp_path / "sweep"
    words = (*SWEEP, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    sweep = start(directory, *words)
    try:
        wait(lambda: saved(directory / "0"), sweep, directory)
        os.kill(process_in(directory / "0"), signal.SIGKILL)
        assert sweep.wait(120) == 1, said(directory)
    finally:
        sweep.kill()
    last = said(directory).splitlines()[-1]
    assert last.startswith("error: ") and "the same command goes on" in last
    assert not (directory / "0" / "summary.json").exists()
    ended(start(directory, *words), directory)
    assert_same_sweep(directory, alone)
    assert re.search(r"continuing after [1-9]\d* steps", said(directory))


def test_a_job_that_fails_elsewhere_says_why_here(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    directory = tmp_path / "sweep"
    words = (*SWEEP, "hydra/launcher=joblib", "sparsity=1.5,0.8", "seed=0")
    sweep = start(directory, *(word for word in words if word != "seed=0,1"))
    assert sweep.wait(200) == 2
    last = said(directory).splitlines()[-1]
    assert last.startswith("error: job 0 (") and "sparsity must be" in last
    assert (directory / "1" / "summary.json").exists()
