"""Gradients over runs against autograd through the dense network, step by step."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rlcompress.reuse import FrameOptions
from rlcompress.reuse.replay import Replay
from rlcompress.reuse.runs import has_native
from tests.reuse.recordings import sequences

NATIVE = [True, False] if has_native() else [False]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def paper(actions=4):
    return nn.Sequential(
        nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Conv2d(5, 7, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(7 * 7 * 5, actions, bias=False),
    )  # fmt: skip


def hidden():
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.Tanh(), nn.Conv2d(4, 5, 2), nn.ReLU(),
        nn.Flatten(), nn.Linear(5 * 10 * 8, 9), nn.ReLU(), nn.Linear(9, 3),
    )  # fmt: skip
    with torch.no_grad():
        network[0].weight /= 255  # a saturated tanh has no digits of its slope left
    return network


def deep():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2, 1, padding=1),
        nn.Conv2d(4, 6, 3, dilation=2, padding=2), nn.ReLU(), nn.AvgPool2d((3, 2), 1, (1, 0)),
        nn.Conv2d(6, 3, (1, 3), padding=(0, 2)), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 7 * 7, 2),
    )  # fmt: skip


def relative(found, expected):
    return float(((found - expected).abs().max() / expected.abs().max().clamp_min(1e-30)).detach())


def compare(network, frames, dtype, native, limit):
    network = network.to(dtype)
    network.zero_grad()
    expected = network(torch.from_numpy(frames).to(dtype))
    weights = torch.randn(expected.shape, dtype=dtype)
    (expected * weights).sum().backward()
    gradients = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    replay = Replay(network, frames.shape[1:], limit=limit, native=native)
    outputs = replay(frames)
    (outputs * weights).sum().backward()
    assert relative(outputs, expected) < TOLERANCE[dtype]
    for p, gradient in zip(network.parameters(), gradients, strict=True):
        assert relative(p.grad, gradient) < TOLERANCE[dtype]


@pytest.mark.parametrize("native", NATIVE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("make", [paper, hidden, deep])
@settings(max_examples=15)
@given(frames=sequences((1, 11, 9)), seed=st.integers(0, 1000), limit=st.sampled_from([300, 10**9]))
def test_outputs_and_gradients_are_autograd_s(make, dtype, native, frames, seed, limit):
    torch.manual_seed(seed)
    compare(make(), frames, dtype, native, limit)


@pytest.mark.parametrize("native", NATIVE)
@given(frames=sequences((3, 11, 9)))
@settings(max_examples=10)
def test_frames_of_several_channels(native, frames):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 5 * 4, 5))
    compare(network, frames, torch.float64, native, 10**9)


@given(frames=sequences((1, 11, 9), steps=(2, 10)))
@settings(max_examples=10)
def test_a_loss_part_by_part_is_the_whole_loss(frames):
    torch.manual_seed(0)
    network = paper().double()
    weights = torch.randn(len(frames), 4, dtype=torch.float64)
    replay = Replay(network, (1, 11, 9), limit=400)
    total = replay.backward(frames, lambda outputs, where: (outputs * weights[where]).sum())
    gradients = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    loss = (network(torch.from_numpy(frames).double()) * weights).sum()
    loss.backward()
    assert total == pytest.approx(loss.item(), rel=1e-12)
    for p, gradient in zip(network.parameters(), gradients, strict=True):
        assert relative(gradient, p.grad) < 1e-12


@pytest.mark.parametrize("layer", [0, 2, 5])
def test_a_step_between_outputs_and_gradients_is_noticed(layer):
    network = paper()
    frames = np.zeros((3, 1, 11, 9), np.uint8)
    outputs = Replay(network, (1, 11, 9))(frames)
    with torch.no_grad():
        network[layer].weight += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


def test_gradients_are_taken_once():
    outputs = Replay(paper(), (1, 11, 9))(np.zeros((3, 1, 11, 9), np.uint8))
    outputs.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="replay the frames again"):
        outputs.sum().backward()


def assert_like_autograd(network, frames, options, divisor):
    given = torch.from_numpy(frames).double() / divisor
    expected = network(given)
    weights = torch.randn(expected.shape, dtype=torch.float64)
    (expected * weights).sum().backward()
    gradients = [p.grad.clone() for p in network.parameters()]
    for native in NATIVE:
        network.zero_grad()
        outputs = Replay(network, frames.shape[1:], frames=options, native=native)(frames)
        (outputs * weights).sum().backward()
        assert relative(outputs, expected) < 1e-12
        for p, gradient in zip(network.parameters(), gradients, strict=True):
            assert p.grad.shape == p.shape
            assert relative(p.grad, gradient) < 1e-12


@given(frames=sequences((2, 1, 17)), seed=st.integers(0, 1000))
@settings(max_examples=10)
def test_series_are_replayed_as_well(frames, seed):
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv1d(2, 4, 3, 2, padding=1), nn.Tanh(), nn.MaxPool1d(2, 1), nn.Conv1d(4, 3, 2),
        nn.ReLU(), nn.AvgPool1d(2), nn.Flatten(), nn.Linear(3 * 3, 4), nn.ReLU(), nn.Tanh(),
        nn.Linear(4, 2), nn.ReLU(), nn.Tanh(),
    ).double()  # fmt: skip
    options = FrameOptions(divisor=255.0)
    assert_like_autograd(network, np.ascontiguousarray(frames[:, :, 0]), options, 255.0)


@given(frames=sequences((2, 5, 4)))
@settings(max_examples=10)
def test_frames_of_floats(frames):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(3 * 4 * 3, 2))
    given = frames.astype(np.float32) / 16 - 8
    options = FrameOptions(dtype=torch.float32)
    assert_like_autograd(network.double(), given, options, 1.0)


def test_lags_and_thresholds_are_not_replayed():
    for options in (FrameOptions(lags=2), FrameOptions(thresholds=(1, 0, 0, 0))):
        with pytest.raises(ValueError, match="no lags and no thresholds"):
            Replay(paper(), (1, 11, 9), frames=options)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((3, 1, 11, 9), np.float32),
        np.zeros((3, 1, 9, 11), np.uint8),
        np.zeros((0, 1, 11, 9), np.uint8),
        np.zeros((1, 11, 9), np.uint8),
    ],
)
def test_wrong_frames_are_refused(frames):
    with pytest.raises(ValueError, match=r"frames must be uint8 of \[steps, 1, 11, 9\]"):
        Replay(paper(), (1, 11, 9))(frames)


def test_a_stack_without_dense_layer_is_refused():
    with pytest.raises(ValueError, match="at least one Linear"):
        Replay(nn.Sequential(nn.Conv2d(1, 2, 3)), (1, 5, 5))
