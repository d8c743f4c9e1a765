"""A run that is killed and resumed ends as if nothing had happened, bit for bit."""

import random

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


@pytest.fixture(scope="module", params=[1, 4], ids=["1env", "4envs"])
def hopper(request, tmp_path_factory):
    """Overrides and directory of an undisturbed run."""
    overrides = (*HOPPER, f"n_envs={request.param}")
    directory = tmp_path_factory.mktemp("undisturbed") / "run"
    assert in_process(directory, *overrides) == 0
    return overrides, directory


@pytest.mark.parametrize("number", [30, 44, 61])
def test_killed_while_writing(hopper, number, tmp_path):
    overrides, undisturbed = hopper
    directory = tmp_path / "run"
    assert in_process(directory, *overrides, before=killed_at_file(directory, number)) == -9
    finish(directory, *overrides)
    assert_same(directory, undisturbed)


def test_killed_again_and_again(hopper, tmp_path):
    overrides, undisturbed = hopper
    directory = tmp_path / "run"
    moments = random.Random(1)
    again = overrides
    for _ in range(3):
        in_process(directory, *again, before=killed_after(moments.uniform(0.3, 1.0)))
        if (directory / ".hydra/config.yaml").exists():
            again = ("resume=true",)
    finish(directory, *overrides)
    assert_same(directory, undisturbed)


def test_killed_in_the_final_evaluation(hopper, tmp_path):
    overrides, undisturbed = hopper
    directory = tmp_path / "run"
    before = killed_at_file(directory, 1, named="pruned_last.rlc")
    assert in_process(directory, *overrides, before=before) == -9
    finish(directory, *overrides)
    assert_same(directory, undisturbed)


def test_pong(tmp_path):
    undisturbed, directory = tmp_path / "undisturbed", tmp_path / "run"
    assert in_process(undisturbed, *PONG) == 0
    before = killed_at_file(directory, 2, named="000000000096.ckpt")
    assert in_process(directory, *PONG, before=before) == -9
    finish(directory, *PONG)
    assert_same(directory, undisturbed)


def test_an_environment_that_cannot_be_saved_restarts_its_episode(tmp_path):
    directory = tmp_path / "run"
    overrides = [o for o in HOPPER if not o.startswith("env=")]
    overrides += ["env=tests.training.odd_registry:odd/Plain-v0"]
    assert in_process(directory, *overrides, before=killed_at_file(directory, 60)) == -9
    assert list((directory / "checkpoint").glob("*.ckpt"))
    finish(directory)
    log = (tmp_path / "run.log").read_text()
    assert "episodes start anew" in log
    assert "odd/Plain-v0 cannot save its state" in log
