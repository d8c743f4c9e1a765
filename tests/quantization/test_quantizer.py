"""How the range of an activation is found and followed."""

from __future__ import annotations

import pytest
import torch

from rlcompress.quantization.fake_quant import Grid, fake_quant_activation
from rlcompress.quantization.quantizer import ActivationQuantizer
from tests.quantization.networks import seeded


def calibrated(x: torch.Tensor, *, bits: int = 8, signed: bool = True) -> ActivationQuantizer:
    quantizer = ActivationQuantizer(bits=bits, signed=signed)
    quantizer.calibrating = True
    quantizer(x, observe=False)
    quantizer.calibrating = False
    return quantizer


def squared_error(x: torch.Tensor, grid: Grid) -> float:
    return float((fake_quant_activation(x, grid) - x).square().mean())


def test_asks_for_calibration() -> None:
    with pytest.raises(ValueError, match="calibrate_"):
        ActivationQuantizer(bits=8, signed=True)(torch.zeros(3), observe=False)


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_calibration_finds_the_range_of_least_error(bits: int, signed: bool) -> None:
    x = torch.randn(20000, generator=seeded(bits)) * 3
    x = x if signed else x.relu()
    found = squared_error(x, calibrated(x, bits=bits, signed=signed).grid)
    tops = torch.linspace(0.05, 1.0, 200) * x.abs().max()
    best = min(
        squared_error(x, Grid.reaching(float(top), bits=bits, signed=signed)) for top in tops
    )
    assert found <= 1.02 * best


def test_reports_the_error_it_makes() -> None:
    x = torch.randn(20000, generator=seeded(0)).relu()
    quantizer = calibrated(x, bits=4, signed=False)
    relative = (squared_error(x, quantizer.grid) / float(x.square().mean())) ** 0.5
    assert quantizer.error == pytest.approx(relative, rel=0.02)


def test_eight_bits_keep_nearly_all_of_a_normal_distribution() -> None:
    x = torch.randn(50000, generator=seeded(0))
    quantizer = calibrated(x)
    clipped = (x.abs() > quantizer.grid.scale * 127.5).float().mean()
    assert clipped < 1e-3


@pytest.mark.parametrize("x", [torch.zeros(10), torch.tensor([]), -torch.ones(4)])
def test_silence_gets_a_harmless_range(x: torch.Tensor) -> None:
    quantizer = calibrated(x, signed=False)
    assert quantizer.grid == Grid.reaching(1.0, bits=8, signed=False)


def observe(quantizer: ActivationQuantizer, x: torch.Tensor, times: int) -> None:
    for _ in range(times):
        quantizer(x, observe=True)


def test_follows_activations_that_grow() -> None:
    x = torch.randn(2000, generator=seeded(0))
    quantizer = calibrated(x)
    before = quantizer.grid.scale
    observe(quantizer, 4 * x, 5000)
    assert quantizer.grid.scale == pytest.approx(4 * before, rel=0.05)


def test_one_batch_moves_the_range_by_a_tenth_at_most() -> None:
    x = torch.randn(2000, generator=seeded(0))
    quantizer = calibrated(x)
    before = quantizer.grid.scale
    observe(quantizer, 2 * x, 199)
    assert quantizer.grid.scale == pytest.approx(1.1 * before, rel=1e-5)


@pytest.mark.parametrize("x", [torch.zeros(8), torch.full((8,), float("nan"))])
def test_a_silent_or_broken_batch_moves_nothing(x: torch.Tensor) -> None:
    quantizer = calibrated(torch.randn(500, generator=seeded(0)))
    before = quantizer.grid
    observe(quantizer, x, 1000)
    assert quantizer.grid == before


def test_without_observing_nothing_moves() -> None:
    quantizer = calibrated(torch.randn(500, generator=seeded(0)))
    before = quantizer.state_dict()
    for _ in range(300):
        quantizer(torch.full((5,), 100.0), observe=False)
    assert quantizer.state_dict() == before


def test_goes_on_from_its_state() -> None:
    x = torch.randn(2000, generator=seeded(0))
    first = calibrated(x)
    observe(first, 3 * x, 150)
    second = ActivationQuantizer(bits=8, signed=True)
    second.load_state_dict(first.state_dict())
    for quantizer in (first, second):
        observe(quantizer, 3 * x, 777)
    assert first.state_dict() == second.state_dict()
    assert first.grid == second.grid


def test_pixels_have_a_grid_by_nature() -> None:
    grid = ActivationQuantizer.fixed(bits=8, scale=1 / 255).grid
    pixels = torch.arange(256) / 255
    assert torch.equal(fake_quant_activation(pixels, grid), torch.arange(256) * grid.scale)


@pytest.mark.parametrize("shape", [(2048, 512), (4096, 512), (4097, 300), (600, 32, 20, 20)])
def test_a_sample_of_many_values_is_of_all_units(shape) -> None:
    """Also where every second value would leave every second unit out."""
    x = torch.rand(shape, generator=seeded(0))
    found = set()
    for unit in (0, 1):
        louder = x.clone()
        louder[:, unit::2] *= 20
        found.add(round(calibrated(louder).grid.scale * 127))
    assert found == {20}
