"""Runs whose games are played by ale-py's native vector environment."""

import pytest

from tests.training.kills import PONG, in_process, killed_at_file

NATIVE = (*PONG, "env_backend=native", "n_envs=2")


def test_a_run_is_resumed_with_new_games(tmp_path):
    directory = tmp_path / "run"
    assert in_process(directory, *NATIVE, before=killed_at_file(directory, 1, named="72.ckpt")) != 0
    assert in_process(directory, "resume=true") == 0
    assert "AtariVecEnv cannot save its state" in (tmp_path / "run.log").read_text()
    assert (directory / "summary.json").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("env=CartPole-v1", "env_backend=native"), "env_backend=native runs Atari games alone"),
        (("env=Pong-v4", "env_backend=native", "draw_every=4"), "gives no pictures"),
        (("env=Pong-v4", "env_backend=nativ"), "did you mean 'native'"),
    ],
)
def test_what_they_cannot_do_is_said_before_training(tmp_path, overrides, message):
    assert in_process(tmp_path / "run", *overrides) == 2
    assert message in (tmp_path / "run.log").read_text()
