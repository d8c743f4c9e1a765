"""Many kills at random moments, sweeps of which every job dies, a disk that is full."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.training.kills import (
    HOPPER,
    PONG,
    SHORT,
    assert_same,
    finish,
    in_process,
    killed_after,
    killed_at_file,
)

pytestmark = pytest.mark.slow

ALGORITHMS = {
    "td3": ("env=Pendulum-v1", "algo=td3", "td3.net_arch=[16]", "td3.learning_starts=30"),
    "tqc": ("env=Pendulum-v1", "algo=tqc", "sac.net_arch=[16]", "sac.learning_starts=30"),
    "dqn": ("env=CartPole-v1", "dqn_vector.net_arch=[16]", "dqn_vector.learning_starts=30"),
    "qrdqn": ("env=CartPole-v1", "algo=qrdqn", "dqn_vector.learning_starts=30"),
    "ppo": ("env=CartPole-v1", "algo=ppo", "ppo.n_steps=16", "extra_timesteps=120"),
    "a2c": ("env=Pendulum-v1", "algo=a2c"),
}


def newest(directory):
    """Step of the newest checkpoint."""
    return max((int(path.stem) for path in directory.glob("checkpoint/*.ckpt")), default=0)


def killed_from_outside(directory, step, seconds, *overrides):
    """Start a run as a user does and send it SIGKILL so long after a checkpoint; its exit status.

    Waiting for a checkpoint, and not for a time alone, makes kills fall all over a run however slow
    the machine is.
    """
    command = [sys.executable, "-m", "rlcompress.train", *overrides, f"hydra.run.dir={directory}"]
    with open(f"{directory}.log", "a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        while newest(directory) < step and process.poll() is None:
            time.sleep(0.002)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            return process.wait()


@pytest.mark.parametrize("n_envs", [1, 4])
@pytest.mark.parametrize("name", ["hopper", "pong"])
def test_random_kills(name, n_envs, tmp_path):
    """Ten kills, over and over and between all checkpoints of one run; forty in all."""
    run = {"hopper": HOPPER, "pong": (*PONG, "extra_timesteps=40")}[name]
    overrides = (*run, "checkpoint_freq=8", f"n_envs={n_envs}")
    directory, alone = tmp_path / "run", tmp_path / "alone"
    assert in_process(alone, *overrides) == 0
    moments = random.Random(f"{name} {n_envs}")
    killed_after_step, again = [], overrides
    while len(killed_after_step) < 10:
        step = newest(directory) + moments.randint(1, 24)
        status = killed_from_outside(directory, step, moments.uniform(0, 0.3), *again)
        if status == 0:
            # It got to its end: what it ended with is checked, and another one begins.
            assert_same(directory, alone)
            directory, again = tmp_path / f"run{len(killed_after_step)}", overrides
            continue
        assert status == -signal.SIGKILL, (tmp_path / f"{directory.name}.log").read_text()
        killed_after_step.append(newest(directory))
        if (directory / ".hydra/config.yaml").exists():
            again = ("resume=true",)
    finish(directory, *overrides)
    assert_same(directory, alone)
    # Most of them hit the run at work, where there was something to lose.
    assert len(set(killed_after_step)) >= 6, killed_after_step


def test_kills_of_a_compiled_run(tmp_path):
    """Traced and compiled anew after every kill, and still the same numbers to the end."""
    overrides = [*SHORT, "env=Pendulum-v1", "training=fast", "total_timesteps=5200"]
    overrides += ["extra_timesteps=300", "pruning.updates=15", "sac.net_arch=[16,16]"]
    overrides += ["sac.learning_starts=60", "sac.batch_size=16", "eval_freq=900"]
    overrides += ["checkpoint_freq=200"]
    directory, alone = tmp_path / "run", tmp_path / "alone"
    assert killed_from_outside(alone, 0, 600, *overrides) == 0
    assert "the update is compiled" in (tmp_path / "alone.log").read_text()
    again, kills = overrides, 0
    for step in (200, 1200, 3000, 5000, 5200):
        status = killed_from_outside(directory, step, 0.2, *again)
        kills += status == -signal.SIGKILL
        again = ["resume=true"]
    assert kills >= 3
    if not (directory / "summary.json").exists():
        assert killed_from_outside(directory, 0, 600, "resume=true") == 0
    assert_same(directory, alone)


@pytest.fixture(scope="module")
def hopper_alone(tmp_path_factory):
    directory = tmp_path_factory.mktemp("alone") / "run"
    assert in_process(directory, *HOPPER) == 0
    return directory


@pytest.mark.parametrize("number", range(12, 132, 8))
def test_kills_at_every_kind_of_file(hopper_alone, number, tmp_path):
    directory = tmp_path / "run"
    before = killed_at_file(directory, number)
    assert in_process(directory, *HOPPER, before=before) == -signal.SIGKILL
    finish(directory, *HOPPER)
    assert_same(directory, hopper_alone)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_other_algorithms(name, tmp_path):
    overrides = [*SHORT, *ALGORITHMS[name], "total_timesteps=200", "pruning.updates=4"]
    overrides += ["checkpoint_freq=30", "eval_freq=70", "n_envs=2"]
    directory, alone = tmp_path / "run", tmp_path / "alone"
    assert in_process(alone, *overrides) == 0
    moments = random.Random(name)
    for _ in range(3):
        again = overrides
        if (directory / ".hydra/config.yaml").exists():
            again = ["resume=true"]
        in_process(directory, *again, before=killed_after(moments.uniform(0.6, 1.5)))
    finish(directory, *overrides)
    assert_same(directory, alone)


def test_a_sweep_in_which_every_job_is_killed_once(tmp_path):
    jobs = 20
    overrides = [*HOPPER, "total_timesteps=100", "pruning.updates=6", "final_episodes=1"]
    overrides += ["-m", f"seed=range({jobs})"]
    alone, directory = tmp_path / "alone", tmp_path / "sweep"
    assert in_process(alone, *overrides) == 0
    moments = random.Random(0)
    for job in range(jobs):
        before = killed_at_file(directory / str(job), moments.randint(4, 80))
        code = in_process(directory, *overrides, "resume=true", before=before)
        assert code == -signal.SIGKILL
    assert in_process(directory, *overrides, "resume=true") == 0
    for job in range(jobs):
        assert_same(directory / str(job), alone / str(job))


def test_a_full_disk(tmp_path):
    """A file system of its own, with room for some checkpoints only."""
    mount = f"mount -t tmpfs -o size=700k tmpfs {tmp_path}"
    probe = ["unshare", "-rm", "sh", "-c", mount]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs user namespaces")
    run = f"{sys.executable} -m rlcompress.train hydra.run.dir={tmp_path}/run"
    words = " ".join(f"'{word}'" for word in (*HOPPER, "total_timesteps=1000", "checkpoint_freq=8"))
    script = f"{mount} && {run} {words}; echo code $?; ls {tmp_path}/run/checkpoint"
    command = ["unshare", "-rm", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert "code 1" in done.stdout
    assert "No space left on device" in done.stderr
    assert "continue with" in done.stderr
    assert done.stdout.count(".ckpt") == 2
