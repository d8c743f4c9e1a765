"""The arithmetic of fake quantisation, against hand-computed values and its own promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlcompress.quantization.fake_quant import (
    BIAS_MAGNITUDE,
    MIN_SCALE,
    Grid,
    fake_quant_activation,
    rounded_parameters,
    straight_through,
    weight_limit,
    weight_scale,
)
from tests.quantization.networks import seeded


def test_weights_by_hand() -> None:
    weight = torch.tensor([[1.27, -0.504], [0.006, 0.0]])
    scale = weight_scale(weight, None, bits=8, per_channel=False)
    rounded, _ = rounded_parameters(weight, None, scale)
    assert scale.item() == pytest.approx(0.01)
    torch.testing.assert_close(rounded, torch.tensor([[1.27, -0.50], [0.01, 0.0]]))


def test_halves_round_to_even() -> None:
    weight = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 127.0])
    rounded, _ = rounded_parameters(weight[None], None, torch.tensor(1.0))
    assert rounded.tolist() == [[0.0, 2.0, 2.0, 0.0, -2.0, 127.0]]


def test_each_channel_has_its_own_scale() -> None:
    weight = torch.tensor([1.0, 0.01]).view(2, 1, 1, 1).expand(2, 3, 2, 2)
    scale = weight_scale(weight, None, bits=8, per_channel=True)
    torch.testing.assert_close(scale, torch.tensor([1.0, 0.01]) / 127)
    rounded, _ = rounded_parameters(weight, None, scale)
    torch.testing.assert_close(rounded, weight)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_weights_stay_in_the_narrow_range(bits: int, per_channel: bool, seed: int) -> None:
    weight = torch.randn(7, 11, generator=seeded(seed)) * 10 ** (seed - 2)
    scale = weight_scale(weight, None, bits=bits, per_channel=per_channel)
    rounded, _ = rounded_parameters(weight, None, scale)
    integers = rounded / (scale[:, None] if per_channel else scale)
    assert torch.equal(integers.round().abs().amax(), torch.tensor(float(weight_limit(bits))))
    assert (rounded - weight).abs().max() <= 0.5001 * scale.max()


@pytest.mark.parametrize("per_channel", [False, True])
def test_zeros_stay_zero(per_channel: bool) -> None:
    weight = torch.randn(6, 8, generator=seeded(0))
    weight[torch.rand(6, 8, generator=seeded(1)) < 0.7] = 0.0
    weight[3] = 0.0
    scale = weight_scale(weight, None, bits=8, per_channel=per_channel)
    rounded, _ = rounded_parameters(weight, None, scale)
    assert (rounded[weight == 0] == 0).all()


def test_an_all_zero_channel_keeps_its_bias() -> None:
    weight, bias = torch.zeros(3, 4), torch.tensor([0.37, -2.5e3, 0.0])
    weight[2] = 1e-3
    scale = weight_scale(weight, bias, bits=8, per_channel=True, input_scale=0.02)
    rounded, on_grid = rounded_parameters(weight, bias, scale, input_scale=0.02)
    assert on_grid is not None
    assert (rounded[:2] == 0).all()
    torch.testing.assert_close(on_grid, bias, rtol=2.0**-24, atol=0.0)
    assert (on_grid / (scale * 0.02)).abs().max() <= BIAS_MAGNITUDE * (1 + 1e-6)


def test_all_zero_layer_has_a_usable_scale() -> None:
    weight, bias = torch.zeros(2, 2), torch.zeros(2)
    scale = weight_scale(weight, bias, bits=8, per_channel=False, input_scale=0.1)
    rounded, on_grid = rounded_parameters(weight, bias, scale, input_scale=0.1)
    assert on_grid is not None
    assert scale.item() == MIN_SCALE
    assert not rounded.any() and not on_grid.any()


@given(
    st.floats(-1e6, 1e6),
    st.floats(1e-3, 1e3),
    st.floats(1e-4, 1.0),
)
def test_no_bias_leaves_its_grid(bias: float, weight: float, input_scale: float) -> None:
    weights, biases = torch.tensor([[weight]]), torch.tensor([bias])
    scale = weight_scale(weights, biases, bits=8, per_channel=True, input_scale=input_scale)
    _, on_grid = rounded_parameters(weights, biases, scale, input_scale=input_scale)
    assert on_grid is not None
    step = float(scale) * input_scale
    assert abs(float(on_grid) / step) <= BIAS_MAGNITUDE * (1 + 1e-6)
    assert abs(float(on_grid) - bias) <= 0.5001 * step + abs(bias) * 2e-7


def test_parameters_get_the_gradient_of_their_rounded_selves() -> None:
    weight = torch.randn(3, 4, generator=seeded(0), requires_grad=True)
    bias = torch.randn(3, generator=seeded(1), requires_grad=True)
    scale = weight_scale(weight, bias, bits=3, per_channel=False, input_scale=0.1)
    rounded, on_grid = rounded_parameters(weight, bias, scale, input_scale=0.1)
    assert on_grid is not None
    rounded, on_grid = straight_through(weight, rounded), straight_through(bias, on_grid)
    factors = torch.randn(3, 4, generator=seeded(2))
    ((rounded * factors).sum() + 2 * on_grid.sum()).backward()
    assert weight.grad is not None and bias.grad is not None
    torch.testing.assert_close(weight.grad, factors)
    torch.testing.assert_close(bias.grad, torch.full((3,), 2.0))


def test_activations_are_the_same_with_and_without_gradients() -> None:
    x = torch.randn(50, generator=seeded(0), requires_grad=True)
    grid = Grid.reaching(1.0, bits=4, signed=True)
    with torch.no_grad():
        expected = fake_quant_activation(x, grid)
    assert torch.equal(fake_quant_activation(x, grid), expected)


def test_what_passes_straight_through_can_be_used_again() -> None:
    parameter, rounded = torch.ones(3, requires_grad=True), torch.full((3,), 2.0)
    for _ in range(2):
        passed = straight_through(parameter, rounded)
        (passed * passed).sum().backward()
    assert parameter.grad is not None
    assert parameter.grad.tolist() == [8.0, 8.0, 8.0]
    assert not rounded.requires_grad and rounded.tolist() == [2.0, 2.0, 2.0]
    with torch.no_grad():
        assert straight_through(parameter, rounded) is rounded


@pytest.mark.parametrize(
    ("bits", "signed", "limits"),
    [(8, False, (0, 255)), (8, True, (-127, 127)), (2, False, (0, 3)), (2, True, (-1, 1))],
)
def test_grids(bits: int, signed: bool, limits: tuple[int, int]) -> None:
    grid = Grid.reaching(6.0, bits=bits, signed=signed)
    assert (grid.low, grid.high) == limits
    assert grid.scale == np.float32(6.0 / limits[1])
    assert grid.inverse == np.float32(1) / np.float32(grid.scale)


def test_activations_by_hand() -> None:
    grid = Grid.reaching(3.0, bits=2, signed=False)
    x = torch.tensor([-1.0, 0.4, 0.5, 1.5, 2.6, 3.4, 9.0], requires_grad=True)
    y = fake_quant_activation(x, grid)
    y.sum().backward()
    assert x.grad is not None
    assert y.tolist() == [0.0, 0.0, 0.0, 2.0, 3.0, 3.0, 3.0]
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]


def test_signed_activations_by_hand() -> None:
    grid = Grid.reaching(1.0, bits=2, signed=True)
    x = torch.tensor([-9.0, -1.4, -0.6, 0.4, 1.4, 1.6], requires_grad=True)
    y = fake_quant_activation(x, grid)
    y.sum().backward()
    assert x.grad is not None
    assert y.tolist() == [-1.0, -1.0, -1.0, 0.0, 1.0, 1.0]
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 1.0, 0.0]


@given(st.floats(1e-6, 1e6), st.integers(2, 8), st.booleans(), st.integers(0, 9))
def test_activations_are_what_the_runtimes_compute(
    top: float, bits: int, signed: bool, seed: int
) -> None:
    grid = Grid.reaching(top, bits=bits, signed=signed)
    x = torch.randn(64, generator=seeded(seed)) * top
    integers = np.clip(np.rint(x.numpy() * np.float32(grid.inverse)), grid.low, grid.high)
    y = fake_quant_activation(x, grid).numpy()
    assert np.array_equal(y, np.float32(integers) * np.float32(grid.scale))
    assert np.array_equal(np.rint(y / np.float32(grid.scale)), integers)
    assert math.isfinite(grid.inverse)
