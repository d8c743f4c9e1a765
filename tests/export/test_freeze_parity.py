"""Frozen integers against the fake-quantised torch actor: many seeds, networks and settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn

from rlcompress.artifact import CompressedPolicy, Dense, TensorType
from rlcompress.evaluation.rollout import record_observations
from rlcompress.export.freeze import freeze
from rlcompress.export.freeze_parity import (
    HALF_WIDTH,
    LARGEST_SHARE,
    Parity,
    before_rounding,
    parity,
    tie_width,
)
from rlcompress.runtime.operations import compile_op
from rlcompress.runtime.reference import Reference
from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.pruning_callback import PruningCallback
from rlcompress.sb3.qat_callback import QATCallback
from rlcompress.spec import PolynomialSchedule, PruneSpec, QuantSpec
from tests.export.frozen_models import (
    IMAGES,
    VECTORS,
    image_model,
    observations_for,
    prune_,
    quantise_,
    vector_model,
)
from tests.policies import KINDS, random_policy
from tests.sb3.models import make_model

SPECS: dict[str, QuantSpec | None] = {
    "float": None,
    "full": QuantSpec(),
    "weights": QuantSpec(activation_bits=None),
    "swapped granularity": QuantSpec(dense="per_channel", conv="per_tensor"),
}


def compare(model: Any, spec: QuantSpec | None, count: int) -> tuple[Parity, CompressedPolicy]:
    if spec is not None:
        quantise_(model, spec)
    seen = observations_for(model, count)
    policy = freeze(model, seen)
    return parity(model, policy, seen), policy


def holds(found: Parity) -> bool:
    """Few activations are too few for a share of one in ten thousand: those are summed up."""
    assert found.ties <= max(2.0, LARGEST_SHARE * found.activations)
    return replace(found, ties=0).holds


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("name", VECTORS)
def test_every_algorithm_and_activation(name: str, spec: QuantSpec | None) -> None:
    found, policy = compare(vector_model(name), spec, 200)
    assert holds(found), found
    rounded = spec is not None and spec.activation_bits is not None and "linear" not in name
    assert (found.activations > 0) == rounded
    assert all((op.weight.dtype == np.int8) == (spec is not None) for op in policy.linears)
    if found.largest_action_difference is not None and not found.touched:
        assert found.largest_action_difference < 1e-4
    if found.discrete_differences is not None and not found.touched:
        assert found.discrete_differences == 0


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("name", IMAGES)
def test_every_image_network(name: str, spec: QuantSpec | None) -> None:
    found, _ = compare(image_model(name), spec, 12)
    assert holds(found), found


@pytest.mark.parametrize("name", ["SAC", "SAC tanh", "DQN", "PPO tanh"])
def test_many_seeds(name: str) -> None:
    total = ties = 0
    for seed in range(12):
        found, _ = compare(vector_model(name, seed), QuantSpec(), 150)
        assert holds(found), (seed, found)
        total, ties = total + found.activations, ties + found.ties
    assert total > 50_000
    assert ties <= LARGEST_SHARE * total


def test_many_seeds_of_a_residual_network() -> None:
    total = ties = 0
    for seed in range(6):
        found, _ = compare(image_model("IMPALA", seed), QuantSpec(), 6)
        assert holds(found), (seed, found)
        total, ties = total + found.activations, ties + found.ties
    assert ties <= LARGEST_SHARE * total


@pytest.mark.parametrize("weight_bits", range(2, 9))
@pytest.mark.parametrize("activation_bits", [2, 3, 5, 8, None])
def test_all_widths(weight_bits: int, activation_bits: int | None) -> None:
    spec = QuantSpec(weight_bits, activation_bits)
    found, policy = compare(vector_model("SAC"), spec, 100)
    assert holds(found), found
    limit = 2 ** (weight_bits - 1) - 1
    assert all(np.abs(op.weight).max() == limit for op in policy.linears)
    if activation_bits is not None:
        assert {op.output.bits for op in policy.ops[:-1]} == {activation_bits}


@pytest.mark.parametrize("bits", [2, 4, 7])
def test_widths_of_a_residual_network(bits: int) -> None:
    found, _ = compare(image_model("IMPALA"), QuantSpec(bits, bits), 6)
    assert holds(found), found


@pytest.mark.parametrize("skip", ["latent_pi.0", "latent_pi.2", "mu"])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
@pytest.mark.parametrize("activation_bits", [8, None])
def test_skipped_layers(skip: str, activation: type[nn.Module], activation_bits: int) -> None:
    model = vector_model("SAC", policy_kwargs={"activation_fn": activation})
    spec = QuantSpec(activation_bits=activation_bits, skip=(skip,))
    found, policy = compare(model, spec, 100)
    assert holds(found), found
    floats = {op.name for op in policy.linears if op.weight.dtype == np.float32}
    assert floats == {skip}


def test_skipped_layers_of_a_residual_network() -> None:
    skip = ("features_extractor.stages.0", "features_extractor.stages.2.conv2")
    found, _ = compare(image_model("IMPALA"), QuantSpec(skip=skip), 6)
    assert holds(found), found


@pytest.mark.parametrize("sparsity", [0.5, 0.9, 0.98, 1.0])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_pruned_networks_lose_their_dead_units(sparsity: float, spec: QuantSpec | None) -> None:
    for model in (vector_model("SAC"), image_model("IMPALA")):
        prune_(model, sparsity)
        found, policy = compare(model, spec, 40 if model.action_space.shape else 6)
        assert holds(found), found
        assert policy.meta["weights_kept_after_removal"] <= policy.meta["weights_kept"]


@pytest.mark.parametrize("algorithm", ["PPO", "SAC", "QRDQN"])
def test_images_of_other_algorithms(algorithm: str) -> None:
    found, _ = compare(image_model("NatureCNN", algorithm=algorithm), QuantSpec(), 6)
    assert holds(found), found


@pytest.mark.parametrize(
    ("name", "env_id"), [("PPO", "CartPole-v1"), ("DQN", "CartPole-v1"), ("SAC", "Pendulum-v1")]
)
def test_whole_episodes_after_training(name: str, env_id: str) -> None:
    """Trained by the callbacks, then played for whole episodes; the stream is compared."""
    model = make_model(name, env=env_id)
    total = 240
    prune = PruneSpec(0.6, PolynomialSchedule(updates=20))
    pruning = PruningCallback(prune, total_timesteps=total)
    model.learn(total + 100, callback=[pruning, QATCallback(begin=total)])
    stream = record_observations(model, model.get_env(), 400, seed=3)
    policy = freeze(model, stream, masks=pruning.masks.masks)
    found = parity(model, policy, stream)
    assert holds(found), found
    assert found.observations == 400
    assert policy.meta["dense"]["kept"] == sum(pruning.masks.kept.values())
    if found.discrete_differences is not None:
        assert found.discrete_differences <= found.touched
    played = play(Reference(policy), env_id), play(model, env_id)
    if not found.touched and found.discrete_differences == 0:
        assert played[0] == played[1]


def play(policy: Any, env_id: str) -> float:
    env = gym.make(env_id)
    observation, _ = env.reset(seed=11)
    total, over = 0.0, False
    while not over:
        action, _ = policy.predict(observation, deterministic=True)
        observation, reward, terminated, truncated, _ = env.step(action)
        total, over = total + float(reward), terminated or truncated
    return total


def test_a_wrong_weight_is_found() -> None:
    model = vector_model("SAC")
    quantise_(model, QuantSpec())
    seen = observations_for(model, 100)
    policy = freeze(model, seen)
    assert parity(model, policy, seen).holds
    last = policy.linears[-1]
    weight = last.weight.copy()
    weight[0] += np.where(weight[0] < 127, 1, -1).astype(np.int8)
    wrong = replace(policy, ops=(*policy.ops[:-1], replace(last, weight=weight)))
    assert not parity(model, wrong, seen).holds


def test_another_range_is_found() -> None:
    """Activations are compared with the model's own numbers, outputs with the policy's."""
    model = vector_model("SAC")
    quantise_(model, QuantSpec())
    seen = observations_for(model, 100)
    policy = freeze(model, seen)
    actor_of(model).root.train()
    for _ in range(200):
        actor_of(model).forward(torch.as_tensor(5 * seen))
    assert not parity(model, policy, seen).holds


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_rounded_rounds_to_what_comes_out(kind: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        policy = random_policy(rng, kind)
        if policy.observation.image:
            seen = rng.integers(0, 256, (3, *policy.observation.shape), np.uint8)
        else:
            seen = rng.normal(size=(3, *policy.observation.shape)).astype(np.float32)
        values, types = Reference(policy).values(seen), policy.values
        for op, out in zip(policy.ops, values[1:], strict=True):
            if op.output.kind == "float" or type(op).__name__ in ("MaxPool", "Flatten"):
                continue
            read = [values[i] for i in op.inputs]
            steps = before_rounding(op, [types[i] for i in op.inputs], read)
            near = np.abs(np.rint(steps) - out) > 0
            # float32 may fall on the other side of a half than float64 does.
            assert np.all(np.abs(steps[near] - np.floor(steps[near]) - 0.5) < 1e-4)
            assert np.count_nonzero(near) <= 2


def test_ties_are_as_wide_as_float32_sums_are_exact() -> None:
    fields: dict[str, Any] = {"name": "layer", "inputs": (0,)}
    source = TensorType((400,), "unsigned", 8, 0.1)
    weight = np.full((1, 400), 127, np.int8)
    weight[:, ::2] = -127
    x = np.full((1, 400), 255, np.uint8)
    for multiplier, expected in ((1e-6, HALF_WIDTH), (1e-3, 400 * 127 * 255 * 1e-3 * 2**-22)):
        op = Dense(
            **fields,
            output=TensorType((1,), "signed", 8, 0.1),
            weight=weight,
            multiplier=np.array([multiplier], np.float32),
            bias=np.zeros(1, np.int32),
        )
        assert compile_op(op, [source])(x).tolist() == [[0]]
        assert tie_width(op, [source], [x]).item() == pytest.approx(expected, rel=1e-5)
