"""training=fast in a run: which path it takes, what it writes down, how many updates it does."""

import json
from types import SimpleNamespace

import pytest
import torch

from rlcompress.fast import matmul
from rlcompress.sb3.environments import describe, make_training_env
from rlcompress.training.acceleration import WORTH_COMPILING, Acceleration, updates_of
from rlcompress.training.assemble import build_model
from rlcompress.training.plan import make_plan
from tests.integration.runs import SMALL, train_main
from tests.training.settings import settings_of


def plan_of(*overrides):
    settings = settings_of(*overrides)
    return make_plan(settings, describe(settings.env))


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
def test_the_ratio_of_updates_to_steps_is_fixed(env):
    ratios = set()
    for n_envs in (1, 4):
        plan = plan_of(f"env={env}", "budget=smoke", f"n_envs={n_envs}")
        model = build_model(plan, make_training_env(plan.env, n_envs))
        ratios.add(model.gradient_steps / (model.train_freq.frequency * n_envs))
    assert len(ratios) == 1


def test_only_long_runs_are_compiled():
    assert updates_of(plan_of("env=Pendulum-v1", "budget=smoke")) < WORTH_COMPILING
    assert updates_of(plan_of("env=Pendulum-v1", "budget=quick")) == 19000
    assert updates_of(plan_of("env=Pendulum-v1", "budget=quick", "n_envs=4")) == 19000
    assert updates_of(plan_of("env=Pendulum-v1", "algo=ppo")) == 0


@pytest.mark.parametrize("how", ["fast", "sb3"])
def test_a_run_writes_down_its_path(how, tmp_path, capsys):
    directory = tmp_path / "run"
    assert train_main(directory, *SMALL, f"training={how}", "matmul=default") == 0
    record = json.loads((directory / "environment.json").read_text())
    printed = capsys.readouterr().out
    if how == "fast":
        assert record["matmul"] == {"path": "default"}
        assert "training=fast" in printed and "matrix products: default, as asked" in printed
    else:
        assert "matmul" not in record and "training=fast" not in printed


def test_a_resumed_run_keeps_the_path_of_its_device(monkeypatch):
    """On a GPU the paths are others than on a CPU."""
    used = []
    monkeypatch.setattr(matmul, "apply_", lambda path, device="cpu": used.append((path, device)))
    acceleration = Acceleration(plan_of("env=Pendulum-v1", "training=sb3"), None, print)
    acceleration.apply_(SimpleNamespace(device=torch.device("cuda", 1)))
    acceleration.load_state_dict({"matmul": "tf32"})
    assert used == [("tf32", "cuda")]
    assert acceleration.state_dict() == {"matmul": "tf32"}


def test_names():
    with pytest.raises(ValueError, match="did you mean 'fast'"):
        plan_of("env=Pendulum-v1", "training=fsat")
    with pytest.raises(ValueError, match="matmul must be one of auto, default"):
        plan_of("env=Pendulum-v1", "matmul=mkl")
