"""A run that is killed and resumed ends as if nothing had happened, bit for bit."""

import random
import signal

import pytest

from tests.training.kills import (
    HOPPER,
    PONG,
    assert_same,
    finish,
    in_process,
    killed_after,
    killed_at_file,
)


@pytest.mark.parametrize(
    ("n_envs", "number", "named"),
    [
        (1, 44, ""),
        (1, 2, "000000000120.ckpt"),  # written, not renamed
        (4, 61, ""),
        (4, 1, "eval.jsonl"),
    ],
)
def test_killed(undisturbed, n_envs, number, named, tmp_path):
    directory, envs = tmp_path / "run", f"n_envs={n_envs}"
    before = killed_at_file(directory, number, named)
    assert in_process(directory, *HOPPER, envs, before=before) == -signal.SIGKILL
    finish(directory, *HOPPER, envs)
    assert_same(directory, undisturbed(envs))


def test_killed_again_and_again(undisturbed, tmp_path):
    directory = tmp_path / "run"
    moments = random.Random(1)
    again = (*HOPPER, "n_envs=1")
    for _ in range(3):
        in_process(directory, *again, before=killed_after(moments.uniform(0.3, 1.0)))
        if (directory / ".hydra/config.yaml").exists():
            again = ("resume=true",)
    finish(directory, *HOPPER)
    assert_same(directory, undisturbed("n_envs=1"))


def test_killed_in_the_final_evaluation(undisturbed, tmp_path):
    directory = tmp_path / "run"
    before = killed_at_file(directory, 1, named="pruned_last.rlc")
    assert in_process(directory, *HOPPER, before=before) == -signal.SIGKILL
    finish(directory, *HOPPER)
    assert_same(directory, undisturbed("n_envs=1"))
    assert "continuing after 180 steps" in (tmp_path / "run.log").read_text()


def test_pong(tmp_path):
    directory, alone = tmp_path / "run", tmp_path / "alone"
    assert in_process(alone, *PONG) == 0
    before = killed_at_file(directory, 2, named="000000000096.ckpt")
    assert in_process(directory, *PONG, before=before) == -signal.SIGKILL
    finish(directory, *PONG)
    assert_same(directory, alone)


def test_an_environment_that_cannot_be_saved_restarts_its_episode(tmp_path):
    directory = tmp_path / "run"
    overrides = [o for o in HOPPER if not o.startswith("env=")]
    overrides += ["env=tests.training.odd_registry:odd/Plain-v0"]
    before = killed_at_file(directory, 1, named="000000000080.ckpt")
    assert in_process(directory, *overrides, before=before) == -signal.SIGKILL
    finish(directory)
    log = (tmp_path / "run.log").read_text()
    assert "episodes start anew" in log
    assert "odd/Plain-v0 cannot save its state" in log
