"""Pruning any algorithm in a plain learn(): exact sparsity, exact zeros, plain zips, resuming."""

import copy

import numpy as np
import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure

from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.pruning_callback import PruningCallback
from rlcompress.spec import PolynomialSchedule, PruneSpec
from tests.sb3.models import ALGORITHMS, algorithm, make_model

T = 100
SPEC = PruneSpec(0.9, PolynomialSchedule(updates=10))


def moments(optimizer, weight):
    state = optimizer.state.get(weight, {}).values()
    return [v for v in state if isinstance(v, torch.Tensor) and v.shape == weight.shape]


def assert_exactly_pruned(model, callback, sparsity=0.9):
    actor = actor_of(model)
    total = sum(layer.weight.numel() for layer in actor.layers.values())
    kept = round((1 - sparsity) * total)
    assert sum(int((layer.weight != 0.0).sum()) for layer in actor.layers.values()) == kept
    assert callback.sparsity == 1 - kept / total
    for name, layer in actor.layers.items():
        pruned = ~callback.masks.masks[name]
        tensors = [layer.weight, *moments(actor.optimizer, layer.weight)]
        if actor.twin is not None:
            tensors.append(actor.twin.get_submodule(name).weight)
        for tensor in tensors:
            assert (tensor[pruned] == 0.0).all(), name


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_ends_exactly_pruned_in_a_plain_zip(name, tmp_path):
    model = make_model(name)
    before = {n: layer.weight.detach().clone() for n, layer in actor_of(model).layers.items()}
    callback = PruningCallback(SPEC, total_timesteps=T)
    model.learn(T + 20, callback=callback)
    assert_exactly_pruned(model, callback)

    actor = actor_of(model)
    for path, layer in actor.layers.items():
        mask = callback.masks.masks[path]
        assert (layer.weight[mask] != before[path][mask]).any(), "nothing was trained"
        assert actor.functional or moments(actor.optimizer, layer.weight)

    model.save(tmp_path / "actor.zip")
    plain = algorithm(name).load(tmp_path / "actor.zip")
    observations = np.random.default_rng(0).normal(size=(32, *model.observation_space.shape))
    for ours, theirs in zip(
        model.predict(observations, deterministic=True),
        plain.predict(observations, deterministic=True),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["SAC", "DQN", "PPO"])
def test_several_environments_share_one_clock(name):
    model = make_model(name, make_vec_env("CartPole-v1" if name == "DQN" else "Pendulum-v1", 4))
    callback = PruningCallback(SPEC, total_timesteps=T)
    watcher = Watcher(callback)
    model.learn(T, callback=CallbackList([callback, watcher]))
    assert_exactly_pruned(model, callback)
    for steps, sparsity in watcher.seen:
        due = SPEC.schedule.updates_due(steps, T)
        asked = SPEC.schedule.sparsity_at(SPEC.schedule.progress_of(due), 0.9)
        assert sparsity == pytest.approx(asked, abs=0.5 / callback.masks.total + 1e-9)
    sparsities = [sparsity for _, sparsity in watcher.seen]
    assert sparsities == sorted(sparsities)


class Watcher(BaseCallback):
    """Notes the sparsity of the weights themselves on every step, as other callbacks find it."""

    def __init__(self, callback):
        super().__init__()
        self.callback = callback
        self.seen = []

    def _on_step(self):
        weights = [layer.weight for layer in actor_of(self.model).layers.values()]
        zeros = sum(int((weight == 0.0).sum()) for weight in weights)
        self.seen.append((self.num_timesteps, zeros / sum(weight.numel() for weight in weights)))
        return True


def test_the_last_update_happens_where_training_ends_at_it():
    spec = PruneSpec(0.9, PolynomialSchedule(begin=0.0, end=1.0, updates=7))
    model = make_model("SAC")
    callback = PruningCallback(spec, total_timesteps=60)
    model.learn(60, callback=callback)
    assert_exactly_pruned(model, callback)


def test_initial_sparsity_holds_from_the_first_step():
    spec = PruneSpec(0.9, PolynomialSchedule(updates=5, initial=0.5))
    model = make_model("SAC")
    callback = PruningCallback(spec, total_timesteps=100)
    with pytest.warns(UserWarning, match="pruning is not complete: 0 of 5 updates done"):
        model.learn(10, callback=callback)
    assert_exactly_pruned(model, callback, sparsity=0.5)


@pytest.mark.parametrize(
    ("name", "optimizer", "options"),
    [
        ("SAC", torch.optim.Adam, {"weight_decay": 1e-2}),
        ("SAC", torch.optim.AdamW, {}),
        ("TD3", torch.optim.Adamax, {}),
        ("DQN", torch.optim.SGD, {"momentum": 0.9}),
        ("PPO", torch.optim.RMSprop, {"momentum": 0.5}),
    ],
)
def test_other_optimizers(name, optimizer, options):
    kwargs = {"optimizer_class": optimizer, "optimizer_kwargs": options}
    model = make_model(name, policy_kwargs=kwargs)
    callback = PruningCallback(SPEC, total_timesteps=T)
    model.learn(T, callback=callback)
    assert_exactly_pruned(model, callback)


def test_dqn_clips_the_norm_of_masked_gradients(monkeypatch):
    model = make_model("DQN")
    callback = PruningCallback(SPEC, total_timesteps=T)
    clip = torch.nn.utils.clip_grad_norm_
    norms = []

    def watched(parameters, *args, **kwargs):
        parameters = list(parameters)
        masks = {id(actor_of(model).layers[n].weight): m for n, m in callback.masks.masks.items()}
        total = clip(parameters, *args, **kwargs)
        for parameter in parameters:
            mask = masks.get(id(parameter))
            if mask is not None and parameter.grad is not None:
                assert (parameter.grad[~mask] == 0.0).all()
        norms.append(float(total))
        return total

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", watched)
    model.learn(T, callback=callback)
    assert len(norms) > 10
    assert max(norms) > 0.0
    assert_exactly_pruned(model, callback)


def test_trpo_searches_among_the_weights_that_are_left(monkeypatch):
    model = make_model("TRPO")
    callback = PruningCallback(PruneSpec(0.9, PolynomialSchedule(0.0, 0.1, 5)), total_timesteps=T)
    norms = []
    gradients_of = model._compute_actor_grad

    def watched(kl_div, policy_objective):
        params, objective, kl, shapes = gradients_of(kl_div, policy_objective)
        masks = {id(actor_of(model).layers[n].weight): m for n, m in callback.masks.masks.items()}
        sizes = [param.numel() for param in params]
        for gradient in (objective, kl.detach()):
            for param, part in zip(params, gradient.split(sizes), strict=True):
                if id(param) in masks:
                    assert (part[~masks[id(param)].flatten()] == 0.0).all()
                    norms.append(float(part.norm()))
        return params, objective, kl, shapes

    monkeypatch.setattr(model, "_compute_actor_grad", watched)
    model.learn(T, callback=callback)
    assert max(norms) > 0.0
    assert_exactly_pruned(model, callback)


def test_pruned_weights_stay_zero_in_later_training_without_the_callback():
    model = make_model("SAC")
    callback = PruningCallback(SPEC, total_timesteps=T)
    model.learn(T, callback=callback)
    model.learn(20, reset_num_timesteps=False)
    assert_exactly_pruned(model, callback)


def test_a_callback_serves_several_learns_of_one_model():
    model = make_model("SAC")
    callback = PruningCallback(SPEC, total_timesteps=T)
    with pytest.warns(UserWarning, match="pruning is not complete"):
        model.learn(T // 2, callback=callback)
    half = callback.sparsity
    assert 0.0 < half < 0.9
    model.learn(T // 2, callback=callback, reset_num_timesteps=False)
    assert_exactly_pruned(model, callback)
    # A new clock must not bring weights back.
    model.learn(10, callback=callback)
    assert_exactly_pruned(model, callback)


@pytest.mark.parametrize("criterion", ["magnitude", "random"])
def test_a_loaded_model_goes_on_with_the_saved_masks(criterion, tmp_path):
    spec = PruneSpec(0.9, SPEC.schedule, criterion=criterion)
    model = make_model("SAC")
    callback = PruningCallback(spec, total_timesteps=T, seed=5)
    with pytest.warns(UserWarning, match="pruning is not complete"):
        model.learn(T // 2, callback=callback)
    model.save(tmp_path / "half.zip")
    torch.save(callback.state_dict(), tmp_path / "pruning.pt")

    loaded = SAC.load(tmp_path / "half.zip", env=model.get_env())
    restored = PruningCallback(spec, total_timesteps=T, seed=5)
    restored.load_state_dict(torch.load(tmp_path / "pruning.pt", weights_only=True))
    assert str(restored.state_dict()) == str(callback.state_dict())
    loaded.learn(T // 2, callback=restored, reset_num_timesteps=False)
    assert_exactly_pruned(loaded, restored)
    for name, mask in callback.masks.masks.items():
        assert not (restored.masks.masks[name] & ~mask).any()


def test_hooks_move_to_a_loaded_model(tmp_path):
    model = make_model("TD3")
    callback = PruningCallback(SPEC, total_timesteps=T)
    model.learn(T, callback=callback)
    model.save(tmp_path / "model.zip")
    loaded = type(model).load(tmp_path / "model.zip", env=model.get_env())
    with pytest.raises(ValueError, match=r"masks for another model; call reattach\(model\)"):
        loaded.learn(10, callback=callback)
    callback.reattach(loaded)
    loaded.learn(20, callback=callback, reset_num_timesteps=False)
    assert_exactly_pruned(loaded, callback)


def test_a_copied_model_takes_the_masks_along():
    model = make_model("SAC")
    callback = PruningCallback(SPEC, total_timesteps=T)
    model.learn(T, callback=callback)
    twin = make_model("SAC")
    twin.policy = copy.deepcopy(model.policy)
    twin._create_aliases()
    callback.reattach(twin)
    twin.learn(20)
    assert_exactly_pruned(twin, callback)


def test_a_rebuilt_optimizer_is_hooked_again():
    model = make_model("SAC")
    callback = PruningCallback(SPEC, total_timesteps=T)
    model.learn(T, callback=callback)
    model.actor.optimizer = torch.optim.Adam(model.actor.parameters(), lr=1e-3)
    model.learn(20, callback=callback, reset_num_timesteps=False)
    assert moments(model.actor.optimizer, model.actor.mu.weight)
    assert_exactly_pruned(model, callback)


def test_state_of_other_settings_is_refused():
    state = PruningCallback(SPEC, total_timesteps=T).state_dict()
    with pytest.raises(ValueError, match=r"total_timesteps was 100 when .* now 300"):
        PruningCallback(SPEC, total_timesteps=300).load_state_dict(state)
    with pytest.raises(ValueError, match=r"spec was .* now "):
        PruningCallback(PruneSpec(0.8, SPEC.schedule), total_timesteps=T).load_state_dict(state)


def test_without_sparsity_nothing_happens():
    # One after the other: making a model seeds torch.
    plain = make_model("SAC").learn(40)
    callback = PruningCallback(PruneSpec(0.0), total_timesteps=1)
    model = make_model("SAC").learn(40, callback=callback)
    for ours, theirs in zip(model.actor.parameters(), plain.actor.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert callback.sparsity == 0.0
    assert not model.actor.optimizer._optimizer_step_post_hooks


def test_log_std_is_left_out_unless_asked_for():
    model = make_model("SAC")
    callback = PruningCallback(SPEC, total_timesteps=T)
    callback.reattach(model)
    excluded = {row.layer: row.excluded for row in callback.report() if row.excluded}
    assert excluded == {"log_std": "unused at inference"}
    model.learn(T, callback=callback)
    assert (model.actor.log_std.weight != 0.0).all()

    model = make_model("SAC")
    spec = PruneSpec(0.9, SPEC.schedule, prune_unused=True)
    callback = PruningCallback(spec, total_timesteps=T)
    model.learn(T, callback=callback)
    assert callback.masks.total == 3 * 16 + 16 * 16 + 16 + 16
    assert (model.actor.log_std.weight == 0.0).any()
    assert (model.actor.log_std.weight[~callback.masks.masks["log_std"]] == 0.0).all()


def test_a_layer_that_is_left_out_may_be_skipped_as_well():
    model = make_model("SAC")
    spec = PruneSpec(0.5, SPEC.schedule, skip=("log_std",))
    callback = PruningCallback(spec, total_timesteps=T)
    callback.reattach(model)
    assert "log_std" not in callback.masks.masks


def test_skipped_layers_stay_dense():
    model = make_model("DQN")
    spec = PruneSpec(0.9, SPEC.schedule, skip=("q_net.4",))
    callback = PruningCallback(spec, total_timesteps=T)
    model.learn(T, callback=callback)
    assert (model.q_net.q_net[4].weight != 0.0).all()
    assert callback.masks.total == 4 * 16 + 16 * 16


@pytest.mark.parametrize(
    ("spec", "steps", "changes", "message"),
    [
        (SPEC, T, {"use_sde": True}, r"gSDE \(use_sde=True\) is unsupported"),
        (PruneSpec(0.5, SPEC.schedule, allocation="even"), T, {}, r"unknown allocation 'even'"),
        (PruneSpec(0.9999, SPEC.schedule), T, {}, r"would leave no weight in .*latent_pi\.0"),
        (PruneSpec(0.5, SPEC.schedule, skip=("latent",)), T, {}, r"did you mean latent_pi"),
    ],
)
def test_bad_requests_are_refused_before_the_first_step(spec, steps, changes, message):
    model = make_model("SAC", **changes)
    with pytest.raises(ValueError, match=message):
        model.learn(10, callback=PruningCallback(spec, total_timesteps=steps))
    assert model.num_timesteps == 0


@pytest.mark.parametrize(
    ("spec", "steps", "message"),
    [
        (PruneSpec(0.9), 900, r"total_timesteps=900 is too short for 600 mask updates"),
        (SPEC, 0, r"total_timesteps must be positive, got 0"),
    ],
)
def test_a_clock_too_short_is_refused_at_once(spec, steps, message):
    with pytest.raises(ValueError, match=message):
        PruningCallback(spec, total_timesteps=steps)


def test_a_callback_without_a_model_says_so():
    with pytest.raises(ValueError, match=r"no model yet"):
        PruningCallback(SPEC, total_timesteps=T).report()


def test_what_is_logged_and_printed(tmp_path, capsys):
    # SB3's tables cut names off, and two that then are the same are an error there.
    model = make_model("PPO", n_steps=32)
    model.set_logger(configure(str(tmp_path), ["stdout", "csv"]))
    callback = PruningCallback(SPEC, total_timesteps=T, verbose=1)
    model.learn(96, callback=callback)
    rows = np.genfromtxt(tmp_path / "progress.csv", delimiter=",", names=True, deletechars="")
    assert rows["time/total_timesteps"].tolist() == [32, 64, 96]
    scheduled = [0.9 * (1 - (48 / 60) ** 3), 0.9 * (1 - (16 / 60) ** 3), 0.9]
    np.testing.assert_allclose(rows["pruning/scheduled_sparsity"], scheduled, rtol=1e-5)
    assert rows["pruning/kept_weights"][-1] == round(0.1 * callback.masks.total)
    assert rows["pruning/sparsity"][-1] == pytest.approx(callback.sparsity)
    last = callback.report()[-1]
    assert rows["pruning_layers/action_net"][-1] == pytest.approx(last.sparsity)
    printed = capsys.readouterr().out
    assert printed.count("Biases stay dense and are not counted.") == 2
    assert "pruning plan" in printed
