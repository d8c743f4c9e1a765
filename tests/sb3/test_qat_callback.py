"""Quantisation-aware training on every algorithm, by callback alone, on unmodified SB3."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import nn

from rlcompress.quantization import state
from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.pruning_callback import PruningCallback
from rlcompress.sb3.qat_callback import QATCallback
from rlcompress.spec import PolynomialSchedule, PruneSpec, QuantSpec
from tests.sb3.models import ALGORITHMS, algorithm, make_model

BEGIN, END = 64, 160
WEIGHTS_ONLY = QuantSpec(activation_bits=None)


def observations(model: Any) -> np.ndarray:
    shape = model.observation_space.shape
    return np.random.default_rng(0).normal(size=(32, *shape)).astype(np.float32)


def trained(name: str, spec: QuantSpec | None = None, **changes: Any) -> tuple[Any, QATCallback]:
    model = make_model(name, **changes)
    callback = QATCallback(spec or QuantSpec(), begin=BEGIN)
    model.learn(END, callback=callback)
    return model, callback


@pytest.mark.parametrize("spec", [QuantSpec(), WEIGHTS_ONLY], ids=["full", "weights"])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_quantises_every_algorithm(name: str, spec: QuantSpec, tmp_path: Path) -> None:
    model, callback = trained(name, spec)
    actor = actor_of(model)
    assert callback.active and state.spec_of(actor.root) == spec
    assert set(state.layers_of(actor.root)) == set(actor.layers)
    if actor.twin is not None:
        assert set(state.layers_of(actor.twin)) == set(actor.layers)
    owned = {id(p) for group in actor.optimizer.param_groups for p in group["params"]}
    for layer in actor.layers.values():
        assert {id(layer.weight), id(layer.bias)} <= owned
    model.save(tmp_path / "model.zip")
    plain = algorithm(name).load(tmp_path / "model.zip")
    for key, tensor in model.policy.state_dict().items():
        assert torch.equal(tensor, plain.policy.state_dict()[key])
    assert not state.is_prepared(actor_of(plain).root)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_training_goes_on_in_quantised_numbers(name: str) -> None:
    model = make_model(name)
    callback = QATCallback(begin=BEGIN)
    model.learn(BEGIN + 32, callback=callback)
    layer = next(iter(actor_of(model).layers.values()))
    before = layer.weight.detach().clone()
    model.learn(96, callback=callback, reset_num_timesteps=False)
    assert not torch.equal(layer.weight, before)


@pytest.mark.parametrize("name", ["DQN", "TD3"])
def test_target_computes_what_the_actor_computes(name: str) -> None:
    model, _ = trained(name)
    actor = actor_of(model)
    assert actor.twin is not None
    actor.twin.load_state_dict(actor.root.state_dict())
    x = torch.as_tensor(observations(model))
    with torch.no_grad():
        assert torch.equal(actor.forward(x), actor.twin_forward(x))


@pytest.mark.parametrize("name", ["SAC", "PPO", "A2C"])
def test_begins_at_the_first_rollout_that_is_due(name: str) -> None:
    class Watch(QATCallback):
        seen: dict[int, bool]

        def _on_step(self) -> bool:
            self.seen[self.num_timesteps] = self.active
            return super()._on_step()

    model = make_model(name)
    callback = Watch(begin=BEGIN)
    callback.seen = {}
    model.learn(END, callback=callback)
    first = min(step for step, active in callback.seen.items() if active)
    # On-policy: the rollout in which step 64 falls is the one that calibrates.
    rollout = {"SAC": 1, "PPO": 32, "A2C": 5}[name]
    due = -(-BEGIN // rollout) * rollout
    assert first == due + 1
    assert all(active == (step >= first) for step, active in callback.seen.items())


def test_several_environments() -> None:
    env = DummyVecEnv([lambda: gym.make("Pendulum-v1")] * 3)
    model, callback = trained("SAC", env=env)
    assert callback.active and model.num_timesteps >= END


@pytest.mark.parametrize("name", ["SAC", "DQN", "PPO"])
def test_pruned_weights_stay_zero(name: str) -> None:
    model = make_model(name)
    spec = PruneSpec(0.8, PolynomialSchedule(updates=8))
    pruning = PruningCallback(spec, total_timesteps=BEGIN)
    model.learn(END, callback=[pruning, QATCallback(begin=BEGIN)])
    actor = actor_of(model)
    assert pruning.sparsity == pytest.approx(0.8, abs=5e-3)
    for name_, (layer, how) in state.layers_of(actor.root).items():
        mask = pruning.masks.masks[name_].bool()
        rounded, _ = how.rounded(layer)
        assert rounded is not None
        assert not layer.weight[~mask].any() and not rounded[~mask].any()
        assert rounded[mask].any()


def test_vec_normalize_calibrates_on_what_the_policy_sees() -> None:
    env = VecNormalize(DummyVecEnv([lambda: gym.make("Pendulum-v1")]))
    for name in ("SAC", "PPO"):
        _, callback = trained(name, env=env)
        assert callback.active


def test_gsde_trains_quantised() -> None:
    for name in ("SAC", "PPO"):
        model, callback = trained(name, use_sde=True)
        assert callback.active
        assert isinstance(model.predict(observations(model))[0], np.ndarray)


def test_reports_errors_per_layer() -> None:
    model = make_model("SAC")
    callback = QATCallback(QuantSpec(weight_bits=4), begin=BEGIN, log_interval=10)
    assert callback.errors() == {}
    model.learn(END, callback=callback, log_interval=None)
    errors = callback.errors()
    assert set(errors) == {
        "latent_pi.0.weight",
        "latent_pi.2.weight",
        "mu.weight",
        "latent_pi.1.output",
        "latent_pi.3.output",
    }
    assert all(0.0 < error < 0.3 for error in errors.values())
    assert "quantization_error/mu.weight" in model.logger.name_to_value


def test_does_not_touch_the_randomness_of_training() -> None:
    np.random.seed(3)
    expected = np.random.random(4)
    model = make_model("SAC")
    model.learn(BEGIN, callback=None)
    callback = QATCallback(begin=0)
    callback.init_callback(model)
    np.random.seed(3)
    callback.on_rollout_start()
    assert callback.active
    assert np.array_equal(np.random.random(4), expected)


def states_equal(first: Any, second: Any) -> bool:
    return json.dumps(first) == json.dumps(second)


@pytest.mark.parametrize("spec", [QuantSpec(skip=("mu",)), WEIGHTS_ONLY], ids=["full", "weights"])
def test_loaded_model_goes_on(spec: QuantSpec, tmp_path: Path) -> None:
    model, callback = trained("SAC", spec)
    model.save(tmp_path / "model.zip")
    saved = json.loads(json.dumps(callback.state_dict()))
    loaded = algorithm("SAC").load(tmp_path / "model.zip", env=model.get_env())
    fresh = QATCallback(spec, begin=BEGIN)
    fresh.load_state_dict(saved)
    fresh.reattach(loaded)
    assert fresh.active and states_equal(fresh.state_dict(), callback.state_dict())
    seen = observations(model)
    ours, theirs = (m.predict(seen, deterministic=True)[0] for m in (loaded, model))
    assert np.array_equal(ours, theirs)
    loaded.learn(40, callback=fresh, reset_num_timesteps=False)
    assert state.is_prepared(actor_of(loaded).root)


def test_reattaches_by_itself_when_learning_starts(tmp_path: Path) -> None:
    model, callback = trained("DQN")
    model.save(tmp_path / "model.zip")
    loaded = algorithm("DQN").load(tmp_path / "model.zip", env=model.get_env())
    fresh = QATCallback(begin=BEGIN)
    fresh.load_state_dict(callback.state_dict())
    loaded.learn(40, callback=fresh, reset_num_timesteps=False)
    assert fresh.active
    assert state.is_prepared(actor_of(loaded).root)


def test_state_from_before_the_beginning() -> None:
    callback = QATCallback(begin=10_000)
    model = make_model("SAC")
    with pytest.warns(UserWarning, match="train for longer"):
        model.learn(40, callback=callback)
    assert callback.state_dict()["quantizers"] is None
    fresh = QATCallback(begin=10_000)
    fresh.load_state_dict(callback.state_dict())
    fresh.reattach(make_model("SAC"))
    assert not fresh.active


def test_warns_where_it_never_began() -> None:
    with pytest.warns(UserWarning, match="due at step 64 but no rollout"):
        make_model("SAC").learn(BEGIN, callback=QATCallback(begin=BEGIN))


def test_quiet_where_it_began() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model = make_model("SAC")
        model.learn(END, callback=QATCallback(begin=BEGIN))


def test_another_model_is_refused() -> None:
    _, callback = trained("SAC")
    with pytest.raises(ValueError, match="another model"):
        make_model("SAC").learn(40, callback=callback)


def test_other_settings_are_refused() -> None:
    model, callback = trained("SAC")
    other = QATCallback(QuantSpec(weight_bits=4), begin=BEGIN)
    with pytest.raises(ValueError, match="spec was"):
        other.load_state_dict(callback.state_dict())
    with pytest.raises(ValueError, match="begin was"):
        QATCallback(begin=BEGIN + 1).load_state_dict(callback.state_dict())
    with pytest.raises(ValueError, match="quantised otherwise"):
        model.learn(40, callback=other, reset_num_timesteps=False)


@pytest.mark.parametrize(
    ("spec", "policy_kwargs", "message"),
    [
        (QuantSpec(skip=("latent",)), {}, "skip names no layer"),
        (QuantSpec(), {"activation_fn": nn.ELU}, "unsupported module ELU"),
    ],
)
def test_what_cannot_be_is_refused_before_training(
    spec: QuantSpec, policy_kwargs: dict[str, Any], message: str
) -> None:
    model = make_model("SAC", policy_kwargs=policy_kwargs)
    with pytest.raises(ValueError, match=message):
        model.learn(END, callback=QATCallback(spec, begin=BEGIN))
    assert model.num_timesteps == 0


@pytest.mark.parametrize(
    "settings", [{"begin": -1}, {"calibration_samples": 0}, {"log_interval": 0}]
)
def test_bad_settings(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        QATCallback(**settings)
