"""A policy without its quantisation is the same network in float32."""

from __future__ import annotations

import numpy as np
import pytest

from rlcompress.artifact import Action, Add, Conv, Dense, Linear, Observation, TensorType
from rlcompress.artifact.policy import CompressedPolicy
from rlcompress.export.dequantise import dequantised
from rlcompress.runtime.reference import Reference
from tests.policies import KINDS, random_observations, random_policy


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def two_layers() -> CompressedPolicy:
    hidden = Dense(
        "hidden",
        (0,),
        TensorType((2,), "unsigned", 8, 0.5),
        np.int8([[2, 0], [0, -4]]),
        f32(0.25),
        f32(1, 2),
        "relu",
    )
    # The multiplier leads to real numbers: input scale 0.5 times weight scale 0.1.
    output = Dense("output", (1,), TensorType((1,)), np.int8([[3, 1]]), f32(0.05), np.int32([20]))
    action = Action("clip", (1,), f32(-np.inf), f32(np.inf))
    return CompressedPolicy((hidden, output), Observation((2,)), action)


def test_hand_computed() -> None:
    policy = dequantised(two_layers())
    hidden, output = policy.linears
    np.testing.assert_allclose(hidden.weight, [[0.5, 0], [0, -1]])
    np.testing.assert_allclose(hidden.bias, [1, 2])
    np.testing.assert_allclose(output.weight, [[0.3, 0.1]])
    np.testing.assert_allclose(output.bias, [1.0])
    assert hidden.output == TensorType((2,)) and hidden.weight.dtype == np.float32
    # 0.3 relu(0.5 + 1) + 0.1 relu(2 - 1) + 1
    np.testing.assert_allclose(Reference(policy).forward(np.ones((1, 2))), [[1.55]], rtol=1e-6)


def test_multiplier_that_leads_to_integers() -> None:
    output = TensorType((1,), "unsigned", 8, 0.25)
    layer = Dense("one", (0,), output, np.int8([[8]]), f32(0.02), np.int32([50]), "relu")
    policy = CompressedPolicy((layer,), Observation((1, 1, 1), True, False, 0.1), Action("argmax"))
    done = dequantised(policy).linears[0]
    # Weight scale: 0.02 * 0.25 / 0.1 = 0.05; bias scale: 0.1 * 0.05. The bytes' 0.1 stays.
    np.testing.assert_allclose(done.weight, [[0.4]], rtol=1e-6)
    np.testing.assert_allclose(done.bias, [0.25], rtol=1e-6)
    np.testing.assert_allclose(done.multiplier, [0.1], rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_result_is_a_float_policy_with_the_same_zeros(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    policy = random_policy(rng, kind)
    done = dequantised(policy)
    for before, after in zip(policy.linears, done.linears, strict=True):
        assert after.weight.dtype == np.float32 and after.bias.dtype == np.float32
        np.testing.assert_array_equal(before.weight == 0, after.weight == 0)
        assert after.output.kind == "float"
    observations = random_observations(rng, policy.observation, 5)
    expected = Reference(policy).forward(observations)
    given = Reference(done).forward(observations)
    if "weight_only" in kind or "float" in kind:
        np.testing.assert_allclose(given, expected, atol=1e-5 * np.abs(expected).max() + 1e-6)
    again = Reference(dequantised(done)).forward(observations)
    np.testing.assert_allclose(again, given, atol=1e-6 * np.abs(given).max())


def test_rounding_is_all_that_is_taken_out() -> None:
    """With steps a hundred times finer the quantised network comes close to the float one."""
    rng = np.random.default_rng(0)
    errors = []
    for bits in (4, 8):
        policy = random_policy(rng, "mlp_tanh", sparsity=0.0, bits=(8, bits))
        observations = random_observations(rng, policy.observation, 200)
        expected = Reference(dequantised(policy)).forward(observations)
        errors.append(np.abs(Reference(policy).forward(observations) - expected).mean())
    assert errors[1] < errors[0]


def test_image_that_is_added_is_named() -> None:
    image = Observation((3, 3, 1), True, False, 1.0)
    add = Add("sum", (0, 0), TensorType((3, 3, 1), "signed", 8, 2.0), (0.5, 0.5))
    with pytest.raises(ValueError, match="sum: an image observation is added"):
        dequantised(CompressedPolicy((add,), image, Action("argmax")))


def test_types_of_layers_are_kept() -> None:
    policy = random_policy(np.random.default_rng(1), "residual")
    kinds = [type(op) for op in dequantised(policy).ops]
    assert kinds == [type(op) for op in policy.ops]
    assert {Conv, Dense} <= set(kinds) and issubclass(Conv, Linear)
