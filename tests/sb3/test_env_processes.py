"""Environments in processes of their own: the same numbers, and deaths and faults that are told."""

import os
import pickle
import signal

import numpy as np
import pytest

from rlcompress.sb3.env_state import capture, restore_
from rlcompress.sb3.environments import EnvironmentFault, make_training_env
from tests.sb3.test_env_state import assert_equal, play


@pytest.fixture
def make():
    made = []

    def one(env_id, n_envs=2, **options):
        made.append(make_training_env(env_id, n_envs, backend="processes", **options))
        return made[-1]

    yield one
    for env in made:
        env.close()


@pytest.mark.parametrize("env_id", ["Hopper-v4", "Pong-v4"])
def test_they_return_what_they_return_in_one_process(make, env_id):
    here, there = make_training_env(env_id, 2, seed=3), make(env_id, seed=3)
    assert_equal(here.reset(), there.reset())
    one, other = (play(env, 60, np.random.default_rng(0)) for env in (here, there))
    assert_equal(one, other)
    # Others go on from there.
    again = make(env_id, seed=77)
    restore_(again, pickle.loads(pickle.dumps(capture(there))))
    one, other = (play(env, 30, np.random.default_rng(1)) for env in (here, again))
    assert_equal(one, other)


def test_a_killed_process_is_named(make):
    env = make("CartPole-v1", 3)
    env.reset()
    play(env, 4, np.random.default_rng(0))
    os.kill(env.processes[1].pid, signal.SIGKILL)
    with pytest.raises(
        EnvironmentFault,
        match=r"CartPole-v1 misbehaved at step 4: the process of environment 1 died \(SIGKILL\)",
    ):
        play(env, 1, np.random.default_rng(0))


def test_a_fault_inside_a_process_is_told_as_in_one_process(make):
    env = make("tests.training.odd_registry:odd/NaN-v0")
    env.reset()
    with pytest.raises(EnvironmentFault, match="at step 70: the observation has nan at index 1"):
        play(env, 80, np.random.default_rng(0))


def test_signals_that_stop_a_run_do_not_end_its_environments(make):
    env = make("CartPole-v1")
    env.reset()
    for process in env.processes:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            os.kill(process.pid, number)
    play(env, 5, np.random.default_rng(0))


def test_no_process_is_left(make):
    env = make("CartPole-v1")
    env.close()
    assert all(process.exitcode is not None for process in env.processes)
    env.close()


def test_what_cannot_be_saved_says_so(make):
    env = make("tests.training.odd_registry:odd/Plain-v0")
    env.reset()
    assert "odd/Plain-v0 cannot save its state" in capture(env)["unsaved"]
