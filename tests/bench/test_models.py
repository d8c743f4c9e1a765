"""Models of the benchmarks: of the right kind, and without folders of their own."""

from __future__ import annotations

import json
import tempfile

import pytest
from stable_baselines3 import DQN, SAC

from rlcompress.bench.models import new_model
from rlcompress.bench.overhead import main as overhead
from rlcompress.bench.training_worker import Task, build, make_model


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Where a model without a logger would make its directory."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    yield tmp_path / "temporary"


@pytest.mark.parametrize(("env", "kind"), [("Pendulum-v1", SAC), ("CartPole-v1", DQN)])
def test_the_environment_decides(env, kind, temporary):
    model = new_model(
        env, seed=0, learning_starts=4, transitions=50, sac={"batch_size": 3}, dqn={"batch_size": 5}
    )
    assert type(model) is kind
    assert model.batch_size == {SAC: 3, DQN: 5}[kind]
    assert model.replay_buffer.buffer_size == 50
    model.learn(8)
    assert model._n_updates > 0
    assert not list(temporary.glob("SB3*"))


def test_a_contender_learns_within_its_warm_up(temporary):
    task = Task("Pendulum-v1", False, "default", True, 0.5, 40, seed=0, core=0)
    model, callbacks, path = build(task)
    assert path == "default"
    model.learn(task.warm_up, callback=callbacks)
    assert model._n_updates >= 20
    assert not list(temporary.glob("SB3*"))


def test_pong_learns_with_the_settings_that_are_compared():
    task = Task("PongNoFrameskip-v4", False, "default", False, 0.0, 40, seed=0, core=0)
    model = make_model(task)
    assert (model.batch_size, model.target_update_interval) == (32, 8000)


def test_overhead_of_callbacks(tmp_path, monkeypatch):
    out = tmp_path / "rows.json"
    words = ("env=Pendulum-v1", "steps=8", "rounds=2", f"out={out}")
    monkeypatch.setattr("sys.argv", ["overhead", *words])
    assert overhead() == 0
    rows = json.loads(out.read_text())["rows"]
    assert [row["variant"] for row in rows] == ["sb3", "pruned", "pruned and quantised"]
