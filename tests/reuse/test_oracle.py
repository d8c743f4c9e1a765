"""Stacks and gradients over runs against definitions in numpy that share no code with them."""

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from rlcompress.reuse import FrameOptions, Replay, ReuseStack
from rlcompress.reuse.native import isas
from tests.reuse.oracle import Oracle, taps_of

SIDE = st.integers(1, 9)
PAIR = st.tuples(st.integers(1, 4), st.integers(1, 4))


@st.composite
def networks(draw, channels, size, *, pools=True, functions=(nn.ReLU, nn.Tanh, nn.Identity)):
    """Any windows: strides beyond kernels, padding beyond half of them, maps of one position."""
    layers = []
    torch.manual_seed(draw(st.integers(0, 1000)))
    for _ in range(draw(st.integers(1, 3))):
        kernel, stride = draw(PAIR), draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
        if pools and layers and draw(st.integers(0, 2)) == 0:
            padding = (min(1, kernel[0] // 2), min(1, kernel[1] // 2))
            layer = draw(st.sampled_from((nn.MaxPool2d, nn.AvgPool2d)))(kernel, stride, padding)
        else:
            layer = nn.Conv2d(
                channels, draw(st.integers(1, 20)), kernel, stride,
                draw(st.tuples(st.integers(0, 5), st.integers(0, 5))),
                draw(st.integers(1, 2)), bias=draw(st.booleans()))  # fmt: skip
        taps, out = taps_of(layer, size) if fits(layer, size) else (None, size)
        if taps is None:
            continue
        size, channels = out, getattr(layer, "out_channels", channels)
        layers += [layer, draw(st.sampled_from(functions))()]
    assume(layers)
    dense = nn.Linear(channels * size[0] * size[1], draw(st.integers(1, 20)))
    return nn.Sequential(*layers, nn.Flatten(), dense)


def fits(layer, size):
    with torch.no_grad():
        try:
            layer(torch.zeros(1, getattr(layer, "in_channels", 1), *size))
        except RuntimeError:
            return False
    return True


@st.composite
def films(draw, channels, size, count=4):
    """uint8 [count, C, H, W]: nothing, a pixel, a block or everything changes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames = [rng.integers(0, 256, (channels, *size), dtype=np.uint8)]
    for _ in range(count - 1):
        frame = frames[-1].copy()
        kind = draw(st.integers(0, 3))
        y, x = (draw(st.integers(0, side - 1)) for side in size)
        height, width = ((0, 0), (1, 1), (3, 2), size)[kind]
        frame[:, y : y + height, x : x + width] ^= rng.integers(1, 256, dtype=np.uint8)
        frames.append(frame)
    return np.stack(frames)


@st.composite
def cases(draw, **options):
    channels, size = draw(st.integers(1, 3)), (draw(SIDE), draw(SIDE))
    return draw(networks(channels, size, **options)), draw(films(channels, size))


def near(found, expected, tolerance):
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def positions(map_: torch.Tensor) -> np.ndarray:
    return map_.flatten(1).t().numpy()


def costs_less_whole(layer, reached):
    """Listing and comparing a position costs as much as four multiply-adds of each output."""
    if not isinstance(layer.module, nn.Conv2d):
        return False
    terms = layer.taps.shape[1] * layer.module.in_channels
    return reached.sum() * (terms + 4) > reached.size * terms


@given(case=cases(), isa=st.sampled_from(isas()))
@settings(max_examples=60, deadline=None)
def test_values_masks_and_partial_sums_are_those_of_the_definitions(case, isa):
    net, frames = case
    oracle = Oracle(net, frames.shape[2:])
    stack = ReuseStack(net, frames.shape[1:], isa=isa, frames=FrameOptions(divisor=64.0))
    last_maps = None
    for step, frame in enumerate(frames):
        out = stack(frame)[0].numpy()
        expected = oracle.maps(frame / 64)
        ours = [positions(stack.activation(k)) for k in range(len(oracle.layers))]
        for found, value in zip(ours, expected[1:], strict=True):
            near(found, value, 1e-5)
        near(out, oracle.outputs(expected[-1]), 2e-5)
        masks = [mask.reshape(-1) for mask in stack.masks()]
        assert [mask.sum() for mask in masks] == [work.dirty for work in stack.work]
        if last_maps is None:
            assert all(mask.all() for mask in masks)
        else:
            moved = (frame != frames[step - 1]).any(0).reshape(-1)
            assert np.array_equal(masks[0], moved)
            for k, layer in enumerate(oracle.layers):
                reached = layer.reached(moved)
                whole = isa != "torch" and costs_less_whole(layer, reached)
                assert np.array_equal(masks[k + 1], reached | whole)
                same = ours[k] == last_maps[k]
                assert same[~reached].all()
                moved = reached if whole else ~same.all(1)  # what is computed whole is not compared
            if len(moved) > 1:  # of a vector, blocks are compared
                assert np.array_equal(masks[-1], moved)
        last_maps = ours


@given(case=cases(pools=False, functions=(nn.ReLU,)), native=st.booleans())
@settings(max_examples=40, deadline=None)
def test_gradients_over_runs_are_those_of_the_definition_and_of_autograd(case, native):
    net, frames = case
    net = net.double()
    rng = np.random.default_rng(0)
    on_outputs = rng.standard_normal((len(frames), net[-1].out_features))
    weights = [m.weight for m in net if isinstance(m, nn.Conv2d | nn.Linear)]
    net(torch.from_numpy(frames).double()).backward(torch.from_numpy(on_outputs))
    expected = [w.grad.numpy().copy() for w in weights]
    found = Oracle(net, frames.shape[2:]).gradients(frames, on_outputs)
    net.zero_grad()
    options = {} if native else {"native": False}
    outputs = Replay(net, frames.shape[1:], **options)(frames)
    outputs.backward(torch.from_numpy(on_outputs))
    for weight, autograd, definition in zip(weights, expected, found, strict=True):
        near(definition.reshape(weight.shape), autograd, 1e-12)
        near(weight.grad.numpy(), autograd, 1e-12)
