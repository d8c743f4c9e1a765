"""The pure updates give SB3's parameters, from the same weights, batches and noise."""

import copy

import pytest
import torch

from rlcompress.pruning.masks import masks_on
from rlcompress.sb3.actors import actor_of
from tests.fast.twins import KINDS, everything, furthest, train, twins

ALGORITHMS = ("SAC", "TD3", "DDPG", "DQN")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_parameters_after_a_hundred_updates(name, kind):
    plain, fast = twins(name, kind)
    before = everything(plain)
    for model in (plain, fast):
        train(model, 100)
    assert plain._n_updates == fast._n_updates == 100
    moved = max(
        float((value - before[key]).abs().max())
        for key, value in everything(plain).items()
        if "optimizer" not in key
    )
    assert moved > 1e-2
    assert furthest(plain, fast) < 1e-5
    records = [model.logger.name_to_value for model in (plain, fast)]
    assert records[0].keys() == records[1].keys()
    for key, value in records[0].items():
        if key.startswith("train/"):
            assert records[1][key] == pytest.approx(value, rel=1e-3, abs=1e-5), key


@pytest.mark.parametrize("name", ALGORITHMS)
def test_pruned_weights_are_zero(name):
    _, fast = twins(name, "both")
    train(fast, 30, gradient_steps=2)
    actor = actor_of(fast)
    masks = masks_on(actor.optimizer)
    assert masks.sparsity == pytest.approx(0.9, abs=1e-3)
    for layer, mask in masks.masks.items():
        weight = masks.weight(layer)
        state = actor.optimizer.state[weight]
        tensors = [weight, weight.grad, state["exp_avg"], state["exp_avg_sq"]]
        if actor.twin is not None:
            tensors.append(actor.twin.get_submodule(layer).weight)
        for tensor in tensors:
            assert not tensor[~mask].any()
            assert tensor[mask].any()


def test_several_updates_in_one_call():
    plain, fast = twins("TD3", "both")
    for model in (plain, fast):
        train(model, 35, gradient_steps=3)
    assert furthest(plain, fast) < 1e-5


@pytest.mark.parametrize("name", ["SAC", "DQN"])
def test_sb3_goes_on_from_there_and_back(name):
    plain, fast = twins(name, "pruned")
    for model in (plain, fast):
        train(model, 20)
    kind = type(plain)
    fast_kind, fast.__class__ = type(fast), kind
    for model in (plain, fast):
        train(model, 20)
    fast.__class__ = fast_kind
    for model in (plain, fast):
        train(model, 20)
    assert furthest(plain, fast) < 1e-5
    steps = [value for key, value in everything(fast).items() if key.endswith("step")]
    assert len(steps) >= 6
    assert all(float(step) == 60 for step in steps)


def test_fixed_entropy_coefficient():
    plain, fast = twins("SAC", "dense", ent_coef=0.2)
    for model in (plain, fast):
        train(model, 20)
    assert furthest(plain, fast) < 1e-5
    assert "train/ent_coef_loss" not in fast.logger.name_to_value


def test_loaded_parameters_are_noticed():
    plain, fast = twins("SAC", "dense")
    train(plain, 10)
    train(fast, 5)
    fast.set_parameters(copy.deepcopy(plain.get_parameters()))
    with torch.no_grad():
        fast.log_ent_coef.copy_(plain.log_ent_coef)
    for model in (plain, fast):
        train(model, 10)
    assert furthest(plain, fast) < 1e-5
