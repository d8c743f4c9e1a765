"""The reference against a scalar interpreter, against torch, and as Stable-Baselines3 calls it."""

import pickle
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from stable_baselines3.common.evaluation import evaluate_policy
from torch.nn import functional

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.records import (
    Action,
    Add,
    Conv,
    Dense,
    Flatten,
    Kind,
    MaxPool,
    Observation,
    TensorType,
)
from rlcompress.runtime import Reference, with_golden
from rlcompress.runtime.numerics import act
from rlcompress.runtime.operations import add, exact_sum, finish, max_pool, ordered_sum, patches
from tests.policies import KINDS, policies, random_observations, random_policy
from tests.runtime.scalar import scalar_values


def assert_equals_scalar(policy: CompressedPolicy, seed: int) -> None:
    observations = random_observations(np.random.default_rng(seed), policy.observation, 2)
    values = Reference(policy).values(observations)
    for sample in range(2):
        expected = scalar_values(policy, values[0][sample])
        for index, (value, scalar) in enumerate(zip(values, expected, strict=True)):
            assert value.dtype == scalar.dtype
            assert value.shape[1:] == policy.values[index].shape
            assert value[sample].tobytes() == scalar.tobytes(), (index, policy.ops[index - 1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sparsity", [0.0, 0.9, None])
def test_equals_the_scalar_interpreter(kind: str, sparsity: float | None) -> None:
    for seed in range(2):
        policy = random_policy(np.random.default_rng(seed), kind, sparsity=sparsity)
        assert_equals_scalar(policy, seed)


@given(policies())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_equals_the_scalar_interpreter_everywhere(policy: CompressedPolicy) -> None:
    assert_equals_scalar(policy, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_equal_single_observations(kind: str) -> None:
    policy = random_policy(np.random.default_rng(5), kind)
    observations = random_observations(np.random.default_rng(6), policy.observation, 131)
    reference = Reference(policy)
    outputs = reference.forward(observations)
    assert outputs.dtype == np.float32
    assert outputs.tobytes() == reference.values(observations)[-1].tobytes()
    actions = reference(observations)
    assert np.array_equal(actions, act(policy.action, outputs))
    for i in (0, 63, 64, 130):
        assert reference.forward(observations[i]).tobytes() == outputs[i].tobytes()
        assert np.array_equal(reference(observations[i]), actions[i])
        assert reference(observations[i]).shape == policy.action.shape
    assert reference.forward(observations[:0]).shape == (0, outputs.shape[1])
    assert len(reference(observations[:0])) == 0


def test_exact_sum_is_exact_in_both_types() -> None:
    rng = np.random.default_rng(0)
    source = TensorType((1,), "unsigned", 8, 1.0)
    for columns in (1, 500, 20_000):  # the last one needs more bits than float32 has
        matrix = rng.integers(-127, 128, (3, columns)).astype(np.int8)
        matrix[0] = 127
        x = rng.integers(0, 256, (2, columns)).astype(np.uint8)
        x[0] = 255
        expected = x.astype(np.int64) @ matrix.T.astype(np.int64)
        assert np.array_equal(exact_sum(matrix, source)(x), expected)


def test_ordered_sum_ascends() -> None:
    matrix = np.array([[1, 1, 1], [1, 0, 1], [0, 0, 0]], np.float32)
    x = np.array([[1e8, 1, -1e8], [-1e8, 1e8, 1]], np.float32)
    assert ordered_sum(matrix)(x).tolist() == [[0, 0, 0], [1, -1e8, 0]]


def test_zero_weights_take_no_part() -> None:
    matrix = np.array([[0, 2], [0, 0]], np.int8)
    assert ordered_sum(matrix)(np.array([[np.inf, 3]], np.float32)).tolist() == [[6, 0]]


def test_requantisation_rounds_half_to_even() -> None:
    layer = Dense(
        "a",
        (0,),
        TensorType((1,), "unsigned", 8, 1.0),
        np.ones((1, 1), np.int8),
        np.array([0.5], np.float32),
        np.array([1], np.int32),
        "relu",
    )
    accumulators = np.array([[-9], [0], [2], [4], [508], [509], [9999]], np.int32)
    assert finish(layer, accumulators).ravel().tolist() == [0, 0, 2, 2, 254, 255, 255]


def test_an_accumulator_is_rounded_to_float32_once() -> None:
    layer = Dense(
        "a",
        (0,),
        TensorType((1,)),
        np.ones((1, 1), np.int8),
        np.ones(1, np.float32),
        np.array([2**30], np.int32),
    )
    accumulators = np.array([[1], [97]], np.int32)
    expected = [float(np.float32(2**30 + 1)), float(np.float32(2**30 + 97))]
    assert finish(layer, accumulators).ravel().tolist() == expected == [2.0**30, 2.0**30 + 128]


def torch_reading(x: Any) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))).double()


@pytest.mark.parametrize("padding", [(0, 0), (2, 1)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
def test_convolution_agrees_with_torch(padding: tuple[int, int], stride: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 9, 11, 3)).astype(np.float32)
    weight = rng.normal(size=(5, 4, 2, 3)).astype(np.float32)
    bias = rng.normal(size=5).astype(np.float32)
    expected = functional.conv2d(
        torch_reading(x), torch_reading(weight), torch.from_numpy(bias).double(), stride, padding
    ).numpy()
    shape = (*expected.shape[2:], 5)
    multiplier = np.ones(1, np.float32)
    conv = Conv(
        "c", (0,), TensorType(shape), weight, multiplier, bias, stride=stride, padding=padding
    )
    found = finish(conv, ordered_sum(conv.matrix)(patches(conv, x))).reshape(2, *shape)
    np.testing.assert_allclose(found.transpose(0, 3, 1, 2), expected, rtol=1e-5, atol=1e-5)


def test_integer_network_agrees_with_torch_through_pool_and_flatten() -> None:
    """Columns of the dense layer run over (row, column, channel)."""
    rng = np.random.default_rng(2)
    pooled = TensorType((4, 3, 2), "signed", 8, 1.0)
    image = rng.integers(0, 256, (3, 7, 5, 2)).astype(np.uint8)
    weight = rng.integers(-127, 128, (2, 3, 3, 2)).astype(np.int8)
    dense = rng.integers(-127, 128, (4, 24)).astype(np.int8)
    ones, zeros = np.ones(1, np.float32), np.zeros
    ops = (
        Conv(
            "conv",
            (0,),
            replace(pooled, shape=(7, 5, 2)),
            weight,
            np.array([2**-9, 2**-8], np.float32),
            zeros(2, np.int32),
            padding=(1, 1),
        ),
        MaxPool("pool", (1,), pooled, (3, 3), (2, 2), (1, 1)),
        Flatten("flatten", (2,), replace(pooled, shape=(24,))),
        Dense("dense", (3,), TensorType((4,)), dense, ones, zeros(4, np.int32)),
    )
    policy = CompressedPolicy(ops, Observation((7, 5, 2), True), Action("argmax"))
    hidden = functional.conv2d(torch_reading(image), torch_reading(weight), padding=1)
    hidden *= torch.tensor([2**-9, 2**-8]).reshape(1, 2, 1, 1)
    hidden = functional.max_pool2d(torch.round(hidden).clamp(-127, 127), 3, 2, 1)
    flat = hidden.permute(0, 2, 3, 1).reshape(3, -1)
    expected = functional.linear(flat, torch.from_numpy(dense).double())
    assert np.array_equal(Reference(policy).forward(image), expected.numpy())


@pytest.mark.parametrize("multipliers", [(0.37, 0.61), (0.7, 0.1), (1 / 3, 0.5)])
def test_addition_rounds_each_product_and_the_sum(multipliers: tuple[float, float]) -> None:
    op = Add("add", (0, 1), TensorType((1,), "signed", 8, 1.0), multipliers)
    every = np.arange(-127, 128).astype(np.int8)
    a, b = (x.reshape(-1, 1) for x in np.meshgrid(every, every))
    first, second = np.float32(multipliers[0]), np.float32(multipliers[1])
    products = (a.astype(np.float32) * first, b.astype(np.float32) * second)
    assert products[0].dtype == np.float32
    expected = np.rint(products[0] + products[1]).clip(-127, 127)
    assert np.array_equal(add(op, a, b), expected)
    fused = (a * np.float64(first) + b * np.float64(second)).astype(np.float32)
    assert (np.rint(fused).clip(-127, 127) != expected).any()  # the roundings are visible


def test_max_pool_pads_with_the_smallest_value() -> None:
    for kind, expected in (("float", -5.0), ("signed", -5), ("unsigned", 3)):
        x = np.array([3 if kind == "unsigned" else -5]).reshape(1, 1, 1, 1)
        x = x.astype({"float": np.float32, "signed": np.int8, "unsigned": np.uint8}[kind])
        pool = MaxPool("p", (0,), TensorType((1, 1, 1), kind), (3, 3), (1, 1), (1, 1))
        assert max_pool(pool, x).item() == expected


def cart_pole_policy() -> CompressedPolicy:
    """Pushes towards where the pole leans: a hand-made controller that balances well."""
    weight = np.array([[0, 0, 0, 0], [0, 0, 3, 1]], np.float32)
    bias = np.zeros(2, np.float32)
    layer = Dense("q", (0,), TensorType((2,)), weight, np.ones(1, np.float32), bias)
    return CompressedPolicy((layer,), Observation((4,)), Action("argmax"))


def test_stable_baselines3_can_evaluate_it() -> None:
    reference = Reference(cart_pole_policy())
    environment = gym.make("CartPole-v1")
    mean, _ = evaluate_policy(reference, environment, n_eval_episodes=3, warn=False)  # type: ignore[arg-type]
    assert mean > 150


def test_predict_keeps_sb3_conventions() -> None:
    reference = Reference(cart_pole_policy())
    observation = np.array([0.0, 0.0, -0.1, 0.0])
    action, state = reference.predict(observation, ("s",), np.array([True]), deterministic=False)
    assert (action.shape, int(action), state) == ((), 0, ("s",))
    actions, nothing = reference.predict(np.stack([observation, -observation]))
    assert (actions.tolist(), nothing) == ([0, 1], None)


def test_survives_pickling() -> None:
    policy = random_policy(np.random.default_rng(3), "residual")
    observations = random_observations(np.random.default_rng(4), policy.observation)
    copy = pickle.loads(pickle.dumps(Reference(policy)))
    assert copy.forward(observations).tobytes() == Reference(policy).forward(observations).tobytes()


def test_a_file_runs_as_the_policy_does(tmp_path: Path) -> None:
    policy = random_policy(np.random.default_rng(11), "conv_mixed")
    observations = random_observations(np.random.default_rng(12), policy.observation)
    with_golden(policy, observations).save(tmp_path / "actor.rlc")
    loaded = Reference.load(tmp_path / "actor.rlc")
    golden = loaded.policy.golden
    assert golden is not None
    assert loaded.forward(golden.observations).tobytes() == golden.outputs.tobytes()
    assert (
        loaded.forward(observations).tobytes() == Reference(policy).forward(observations).tobytes()
    )


@pytest.mark.parametrize(("kind", "expected"), [("unsigned", 0), ("signed", -127), ("float", 0)])
def test_sums_that_overflow_stay_defined(kind: Kind, expected: int) -> None:
    """Infinity minus infinity becomes the lower limit, without a warning."""
    layer = Dense(
        "a",
        (0,),
        TensorType((1,), kind),
        np.array([[2, -2]], np.int8),
        np.ones(1, np.float32),
        np.zeros(1, np.float32),
        "none" if kind == "signed" else "relu",
    )
    policy = CompressedPolicy((layer,), Observation((2,)), Action("argmax"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Reference(policy).values([3e38, 3e38])[1].tolist() == [[expected]]


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_golden_holds_what_the_reference_says(kind: str) -> None:
    policy = random_policy(np.random.default_rng(8), kind)
    observations = random_observations(np.random.default_rng(9), policy.observation, 7)
    given = observations if policy.observation.image else observations.astype(np.float64) * 1.1
    golden = with_golden(policy, given).golden
    assert golden is not None
    assert golden.observations.dtype == observations.dtype
    reference = Reference(policy)
    assert golden.outputs.tobytes() == reference.forward(golden.observations).tobytes()
    assert np.array_equal(golden.actions, reference(golden.observations))
    with pytest.raises(ValueError, match="must be a batch"):
        with_golden(policy, given[0])
    wrong, message = (
        (np.float32, "uint8") if policy.observation.image else (complex, "real numbers")
    )
    with pytest.raises(ValueError, match=message):
        with_golden(policy, given.astype(wrong))
