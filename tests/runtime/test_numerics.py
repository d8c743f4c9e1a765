"""tanh, rounding, the way in and the way out, against hand-computed and float64 values."""

import hashlib
from typing import Any

import numpy as np
import pytest

from rlcompress.artifact.records import Action, Observation, TensorType
from rlcompress.runtime.numerics import (
    TANH_LIMIT,
    act,
    activate,
    clamp,
    prepare,
    quantise,
    relu,
    tanh,
    to_integers,
)

UNSIGNED = TensorType((1,), "unsigned", 8, 0.5)
SIGNED = TensorType((1,), "signed", 8, 0.5)


def floats(*values: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.array(values, np.float32)


def bit_patterns(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """``count`` float32 spread evenly over all bit patterns from the smallest subnormal to 10."""
    last = int(np.float32(10).view(np.uint32))
    patterns = 1 + np.arange(count, dtype=np.uint64) * np.uint64(last - 1) // np.uint64(count - 1)
    return patterns.astype(np.uint32).view(np.float32)


def ulps_from_true(x: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, Any]:
    """Error of ``tanh`` in units of the last place of the true result."""
    true = np.tanh(x.astype(np.float64))
    exponent = np.maximum(np.frexp(true)[1], -125)
    return np.abs(tanh(x).astype(np.float64) - true) / np.ldexp(1.0, exponent - 24)


@pytest.mark.parametrize(("low", "high"), [(0.0, 10.0), (1e-4, 0.3), (0.9, 3.0), (8.5, 9.1)])
def test_tanh_is_within_two_ulp(low: float, high: float) -> None:
    x = np.linspace(low, high, 500_000).astype(np.float32)[1:]
    assert ulps_from_true(x).max() <= 1.9


def test_tanh_is_within_two_ulp_over_all_magnitudes() -> None:
    assert ulps_from_true(bit_patterns(1_000_000)).max() <= 1.9
    near_switch = np.nextafter(floats(1, 1, TANH_LIMIT, TANH_LIMIT), floats(0, 2, 0, 10))
    assert ulps_from_true(near_switch).max() <= 1.9


def test_tanh_is_odd_and_saturates() -> None:
    x = bit_patterns(200_000)
    assert (tanh(-x) == -tanh(x)).all()
    assert (np.abs(tanh(x)) <= 1).all()
    assert (tanh(x[x > 8.81]) == 1).all()
    extremes = floats(9, 1e38, np.inf, -np.inf, np.nan, 0)
    assert tanh(extremes).tolist() == [1, 1, 1, -1, -1, 0]
    assert tanh(extremes).dtype == np.float32


def test_tanh_has_the_bits_that_artifacts_were_recorded_with() -> None:
    digest = hashlib.sha256(tanh(bit_patterns(100_001)).astype("<f4").tobytes()).hexdigest()
    assert digest == "37f8585751bf7e1aaba8670492b9a38e13271d9a138e2418d28d4aec06b10d17"


def test_comparisons_pick_the_limit() -> None:
    x = floats(-0.0, np.nan, -3, 3, 0.5)
    assert relu(x).tolist() == [0, 0, 0, 3, 0.5]
    assert not np.signbit(relu(x)).any()
    assert clamp(x, -1, 1).tolist() == [0, -1, -1, 1, 0.5]


def test_activate_knows_every_function() -> None:
    x = floats(-3, -0.25, 0.25, 3)
    assert activate("none", x, 1.0).tolist() == x.tolist()
    assert activate("relu", x, 1.0).tolist() == [0, 0, 0.25, 3]
    assert activate("hard_tanh", x, 0.5).tolist() == [-0.5, -0.25, 0.25, 0.5]
    assert activate("tanh", x, 1.0).tolist() == tanh(x).tolist()


def test_rounding_is_half_to_even_and_clamped() -> None:
    x = floats(-0.5, 0.5, 1.5, 2.5, 254.5, 255.5, 1e30, -1e30, np.nan)
    assert to_integers(x, UNSIGNED).tolist() == [0, 0, 2, 2, 254, 255, 255, 0, 0]
    assert to_integers(x, SIGNED).tolist() == [0, 0, 2, 2, 127, 127, 127, -127, -127]
    assert to_integers(x, UNSIGNED).dtype == np.uint8
    assert to_integers(x, SIGNED).dtype == np.int8
    four_bits = TensorType((1,), "signed", 4, 0.5)
    assert to_integers(x, four_bits).tolist() == [0, 0, 2, 2, 7, 7, 7, -7, -7]


def test_quantise_multiplies_with_the_rounded_inverse() -> None:
    assert quantise(floats(0.25, 0.75, -1.0), SIGNED).tolist() == [0, 2, -2]
    third = TensorType((1,), "unsigned", 8, 0.3)
    inverse = np.float32(1) / np.float32(0.3)
    x = np.linspace(0, 80, 10_000).astype(np.float32)
    x = np.concatenate([x, (np.arange(255, dtype=np.float32) + np.float32(0.5)) * np.float32(0.3)])
    expected = np.clip(np.rint(x * inverse), 0, 255)
    assert (quantise(x, third) == expected).all()
    assert (expected != np.clip(np.rint(x / np.float32(0.3)), 0, 255)).any()  # it matters which
    assert quantise(x, TensorType((1,))).tobytes() == x.tobytes()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.bool_])
def test_prepare_casts_vectors(dtype: type) -> None:
    observation = Observation((3,))
    given = np.array([1, 0, 1], dtype)
    assert prepare(observation, given).tolist() == [[1, 0, 1]]
    assert prepare(observation, np.stack([given, given])).shape == (2, 3)
    assert prepare(observation, given).dtype == np.float32
    assert prepare(observation, np.zeros((0, 3), dtype)).shape == (0, 3)


def test_prepare_flattens_two_axes() -> None:
    given = np.arange(6).reshape(2, 3)
    assert prepare(Observation((2, 3)), given).tolist() == [[0, 1, 2, 3, 4, 5]]


def test_prepare_normalises_in_float32() -> None:
    rng = np.random.default_rng(0)
    mean, inv_std = rng.normal(size=(2, 300)).astype(np.float32)
    observation = Observation((300,), mean=mean, inv_std=inv_std, clip=0.75)
    given = rng.normal(size=300)
    for x, m, s, y in zip(given, mean, inv_std, prepare(observation, given)[0], strict=True):
        expected = np.float32(np.float32(np.float32(x) - m) * s)
        assert y == min(max(expected, np.float32(-0.75)), np.float32(0.75))


def test_normalisation_that_overflows_is_clipped() -> None:
    mean, inv_std = floats(3e38, -3e38), floats(1e20, 1e20)
    observation = Observation((2,), mean=mean, inv_std=inv_std, clip=10.0)
    assert prepare(observation, [-3e38, 3e38]).tolist() == [[-10, 10]]


def test_prepare_moves_channels_last() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    moved = prepare(Observation((2, 3, 4), True, True), image)
    assert moved.shape == (1, 3, 4, 2)
    assert (moved[0, ..., 1] == image[1]).all()
    assert (prepare(Observation((2, 3, 4), True), image)[0] == image).all()
    mean = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    normal = Observation((2, 3, 4), False, True, mean=mean, inv_std=np.ones_like(mean))
    assert not prepare(normal, image).any()
    assert prepare(normal, image[None]).shape == (1, 3, 4, 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1.0, np.nan, 0.0], "got nan at index 1$"),
        ([[1.0, 2.0, 0.0], [0.0, 0.0, -np.inf]], r"got -inf at index \(1, 2\)$"),
        ([1e300, 0.0, 0.0], r"finite in float32, got 1e\+300 at index 0$"),
        ([1.0, 2.0], r"shape \(3,\), or \(n, 3\) for a batch, got \(2,\)$"),
        (np.zeros((2, 1, 3)), r"got \(2, 1, 3\)$"),
        (np.array(["a", "b", "c"]), "must hold real numbers, got dtype <U1"),
    ],
)
def test_prepare_refuses_bad_vectors(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(Observation((3,)), given)


def test_prepare_refuses_images_that_are_not_uint8() -> None:
    with pytest.raises(ValueError, match="must be uint8 as the environment gives them, got float"):
        prepare(Observation((2, 2, 1), True), np.zeros((2, 2, 1), np.float32))
    with pytest.raises(ValueError, match=r"shape \(1, 2, 2\), or \(n, 1, 2, 2\)"):
        prepare(Observation((1, 2, 2), True, True), np.zeros((2, 2, 1), np.uint8))


def test_squash_unscales_in_the_documented_order() -> None:
    low, high = floats(-0.4, 1.0), floats(0.4, 7.0)
    outputs = np.random.default_rng(0).normal(0, 2, (500, 2)).astype(np.float32)
    actions = act(Action("squash", (1, 2), low, high), outputs)
    assert actions.shape == (500, 1, 2)
    for y, action in zip(outputs, actions, strict=True):
        for i in range(2):
            half = np.float32(0.5) * np.float32(tanh(y[i]) + np.float32(1))
            expected = low[i] + np.float32(half * np.float32(high[i] - low[i]))
            assert action[0, i] == expected
    assert actions.dtype == np.float32
    true = low + (np.tanh(outputs.astype(float)) + 1) / 2 * (high - low)
    np.testing.assert_allclose(actions[:, 0], true, rtol=1e-6, atol=1e-6)


def test_clip_allows_infinite_limits() -> None:
    action = Action("clip", (3,), floats(-1, -np.inf, -1), floats(1, np.inf, np.inf))
    assert act(action, floats(-2, -2, 9).reshape(1, 3)).tolist() == [[-1, -2, 9]]


def test_argmax_takes_the_first_of_equals_and_never_nan() -> None:
    action = Action("argmax", start=-2)
    outputs = np.array([[1, 3, 3], [np.nan, 0, 1], [np.nan, np.nan, np.nan]], np.float32)
    assert act(action, outputs).tolist() == [-1, 0, -2]
    assert act(action, outputs).dtype == np.int64


def test_quantiles_are_summed_in_order() -> None:
    # In order, action 0 sums to 0 (1e8 swallows the 1); in reverse it would win with 1.
    outputs = np.array([[1, 0.5, 1e8, 0, -1e8, 0]], np.float32)
    assert act(Action("argmax", quantiles=3), outputs).tolist() == [1]
    reverse = outputs.reshape(3, 2)[::-1].reshape(1, 6)
    assert act(Action("argmax", quantiles=3), reverse).tolist() == [0]
