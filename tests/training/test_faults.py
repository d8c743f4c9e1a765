"""What can happen to a run from outside: one clear line, the last checkpoint kept."""

import multiprocessing
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rlcompress.artifact import CompressedPolicy
from rlcompress.training.lock import locked
from rlcompress.training.store import Store
from tests.integration.runs import train_main
from tests.training.kills import (
    HOPPER,
    assert_same,
    at_file,
    finish,
    flip,
    in_process,
    in_small_files,
    killed_at_file,
    sent,
)

# In the evaluation after 60 steps: there was one after 30, and checkpoints after 30 and 40.
IN_EVALUATION = {"number": 4, "named": "eval.jsonl"}


def last_line(directory):
    """What a run's process said last."""
    with open(f"{directory}.log") as log:
        return [line for line in log if line.strip()][-1].rstrip()


def how_to_resume(directory):
    return f"continue with: python -m rlcompress.train hydra.run.dir={directory} resume=true"


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 128 + signal.SIGUSR1)],
)
def test_a_signal_saves_and_says_how_to_go_on(undisturbed, number, code, tmp_path):
    directory = tmp_path / "run"
    before = at_file(directory, do=sent(number), **IN_EVALUATION)
    assert in_process(directory, *HOPPER, before=before) == code
    said = f"error: stopped after 60 steps; {how_to_resume(directory)} ({number.name})"
    assert last_line(directory) == said
    assert (directory / "checkpoint/000000000060.ckpt").exists()
    if number == signal.SIGTERM:
        finish(directory, *HOPPER)
        assert_same(directory, undisturbed("n_envs=1"))


def test_a_signal_in_the_final_evaluation_stops_at_once(tmp_path):
    directory = tmp_path / "run"
    before = at_file(directory, 1, sent(signal.SIGTERM), named="pruned_last.rlc")
    assert in_process(directory, *HOPPER, before=before) == 143
    assert "stopped while evaluating" in last_line(directory)


def test_a_second_signal_does_not_wait(tmp_path):
    directory = tmp_path / "run"

    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = at_file(directory, do=twice, **IN_EVALUATION)
    assert in_process(directory, *HOPPER, before=before) == 130
    assert "stopped at once; the last checkpoint is kept" in last_line(directory)
    assert max(directory.glob("checkpoint/*.ckpt")).name == "000000000040.ckpt"


@pytest.mark.parametrize(
    ("number", "named", "kept"),
    [
        (1, "000000000080.ckpt", 40),
        (5, "/replay/", 30),
        (4, "eval.jsonl", 40),
    ],
)
def test_a_full_disk(undisturbed, number, named, kept, tmp_path):
    directory = tmp_path / "run"

    def fill():
        # The kernel refuses to make any file longer than this, as it does on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

    assert in_process(directory, *HOPPER, before=at_file(directory, number, fill, named)) == 1
    said = last_line(directory)
    assert said.startswith("error: ")
    assert "File too large" in said
    assert f"the checkpoint of step {kept} is kept, {how_to_resume(directory)}" in said
    finish(directory, *HOPPER)
    assert_same(directory, undisturbed("n_envs=1"))


READ_ONLY = """
"$@" & run=$!
until ls checkpoint/*.ckpt; do sleep 0.05; kill -0 $run || exit 9; done
mount --bind "$PWD" "$PWD"
until mount -o remount,bind,ro "$PWD" 2>/dev/null; do kill -0 $run || exit 9; done
wait $run
echo code $?
"""
"""Runs a command; its directory, the present one, becomes read-only while it runs.

A file that is being written at that moment makes the mount busy, so that is tried until it works.
"""


def test_a_directory_that_turns_read_only(undisturbed, tmp_path):
    probe = ["unshare", "-rm", "mount", "--bind", str(tmp_path), str(tmp_path)]
    if not shutil.which("unshare") or subprocess.run(probe, check=False).returncode:
        pytest.skip("mounting needs user namespaces")
    directory = tmp_path / "run"
    directory.mkdir()
    root = Path(__file__).parents[2]
    run = [sys.executable, "-m", "rlcompress.train", *HOPPER, f"hydra.run.dir={directory}"]
    command = ["unshare", "-rm", "sh", "-c", READ_ONLY, "sh", *run]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    assert "code 1" in done.stdout
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("error: ")
    assert "Read-only file system" in said
    assert re.search(r"the checkpoint of step \d+ is kept, continue with: python", said)
    finish(directory, *HOPPER)
    assert_same(directory, undisturbed("n_envs=1"))


def test_a_directory_that_is_removed(tmp_path):
    directory = tmp_path / "run"
    gone = at_file(directory, 1, lambda: shutil.rmtree(directory), named="000000000080.ckpt")
    assert in_process(directory, *HOPPER, before=gone) == 1
    said = last_line(directory)
    assert "No such" in said
    assert "there is no checkpoint yet" in said


@pytest.mark.parametrize("place", ["/proc/none/run", "/dev/null/run"])
def test_a_directory_that_cannot_be_written(place, capfd):
    assert train_main(place, *HOPPER) == 2
    said = capfd.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1


def test_a_directory_that_is_in_use(tmp_path, capfd):
    with locked(tmp_path):
        assert train_main(tmp_path, *HOPPER) == 3
    said = capfd.readouterr().err
    assert f"in use by process {os.getpid()}" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("NaN", "misbehaved at step 70: the observation has nan at index 1"),
        ("Shape", "the observation has shape (4,), declared is (3,)"),
        ("Dtype", "the observation has type float32, declared is float64"),
        ("Reward", "the reward is inf"),
        ("Raising", "step() raised ConnectionResetError: the simulator has died"),
    ],
)
def test_an_environment_that_misbehaves(name, seen, tmp_path):
    directory = tmp_path / "run"
    overrides = [o for o in HOPPER if not o.startswith("env=")]
    overrides += [f"env=tests.training.odd_registry:odd/{name}-v0"]
    assert in_process(directory, *overrides) == 1
    said = last_line(directory)
    assert said.startswith("error: environment ")
    assert f"odd/{name}-v0" in said
    assert seen in said
    assert "the checkpoint of step 40 is kept" in said


def test_constant_observations(tmp_path):
    directory = tmp_path / "run"
    overrides = [o for o in HOPPER if not o.startswith("env=")]
    overrides += ["env=tests.training.odd_registry:odd/Constant-v0"]
    assert in_process(directory, *overrides) == 0
    policy = CompressedPolicy.load(directory / "actor.rlc")
    assert np.isfinite(policy.golden.outputs).all()


def kill_an_environment():
    """Once the second checkpoint is there, one of the run's environments dies."""
    (victim, *_) = (p for p in multiprocessing.active_children() if p.name.startswith("Fork"))
    os.kill(victim.pid, signal.SIGKILL)


def test_the_process_of_an_environment_dies(undisturbed, tmp_path):
    directory = tmp_path / "run"
    overrides = (*HOPPER, "n_envs=4", "env_backend=processes")
    dying = at_file(directory, 1, kill_an_environment, named="000000000080.ckpt")
    assert in_process(directory, *overrides, before=dying) == 1
    said = last_line(directory)
    assert "error: environment Hopper-v4 misbehaved at step 20: the process of" in said
    assert "died (SIGKILL)" in said
    assert "the checkpoint of step 80 is kept" in said
    # Its episodes are continued, in other processes; and it is the run that one process makes.
    finish(directory, *overrides)
    log = (tmp_path / "run.log").read_text()
    assert "continuing after 80 steps" in log
    assert "episodes start anew" not in log
    assert_same(directory, undisturbed("n_envs=4"))


def files_of_the_newest(directory):
    """Every file that the newest checkpoint needs."""
    store = Store(directory / "checkpoint")
    newest = store.open_newest(print)
    return [newest.path, *(store.replay / segment.name for segment in newest.segments)]


def test_a_damaged_checkpoint_gives_way_to_the_one_before(undisturbed, tmp_path):
    """One bit in every one of its files, one at a time; there are several of transitions."""
    killed = tmp_path / "killed"
    dying = killed_at_file(killed, 1, named="000000000160.ckpt")
    assert in_process(killed, *HOPPER, before=in_small_files(dying)) == -signal.SIGKILL
    files = files_of_the_newest(killed)
    assert files[0].name == "000000000150.ckpt"
    assert len(files) >= 7
    for number, path in enumerate(files):
        directory = tmp_path / f"run{number}"
        shutil.copytree(killed, directory)
        flip(directory / path.relative_to(killed))
        assert in_process(directory, "resume=true", before=in_small_files()) == 0
        log = (tmp_path / f"run{number}.log").read_text()
        assert "000000000150.ckpt is damaged: " in log
        assert "checksum" in log
        assert "using the one of step 120 instead" in log
        assert "continuing after 120 steps" in log
        assert_same(directory, undisturbed("n_envs=1"))


def test_nothing_left_to_go_on_from(tmp_path):
    directory = tmp_path / "run"
    before = killed_at_file(directory, 1, named="000000000120.ckpt")
    assert in_process(directory, *HOPPER, before=before) == -signal.SIGKILL
    os.truncate(directory / "eval.jsonl", 10)
    assert in_process(directory, "resume=true") == 1
    assert "eval.jsonl" in last_line(directory)
    for path in directory.glob("checkpoint/*.ckpt"):
        os.truncate(path, 100)
    assert in_process(directory, "resume=true") == 1
    assert "no checkpoint in" in last_line(directory)
    assert len(list(directory.glob("checkpoint/*.ckpt"))) == 2


def test_a_finished_run_says_so(undisturbed):
    directory = undisturbed("n_envs=1")
    assert in_process(directory, "resume=true") == 0
    assert last_line(directory) == f"{directory}: this run has finished already"


def test_a_run_goes_on_only_as_it_began(undisturbed):
    directory = undisturbed("n_envs=1")
    assert in_process(directory, "resume=true", "sparsity=0.8", "env=Hopper-v4") == 0
    assert in_process(directory, "resume=true", "sparsity=0.5") == 2
    assert "with sparsity=0.8, but sparsity is now 0.5" in last_line(directory)
    # A variant is a name for settings.
    assert in_process(directory, "resume=true", "variant=int8") == 0
    assert in_process(directory, "resume=true", "variant=weights") == 2
    said = "with quantisation.activation_bits=8, but quantisation.activation_bits is now None"
    assert said in last_line(directory)
