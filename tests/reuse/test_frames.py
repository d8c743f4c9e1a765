"""Ways of reading frames: stacks of them lag by lag, and changes too small to follow."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rlcompress.reuse import FrameOptions, ReuseStack
from rlcompress.reuse.approximate import compare
from rlcompress.reuse.native import isas
from tests.reuse.stacks import close_to_torch, film, original_net, random_stack

SHAPE = (1, 14, 11)


@pytest.mark.parametrize("isa", isas())
@pytest.mark.parametrize("fill", ["zero", "repeat"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_lags_read_a_stack_of_frames_from_the_oldest_to_the_newest(isa, fill, seed):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    lags = int(rng.integers(2, 5))
    net = random_stack(rng, (2, 10, 11), lags=lags)
    options = FrameOptions(lags=lags, fill=fill, divisor=255.0)
    stack = ReuseStack(net, (2, 10, 11), isa=isa, slots=2, frames=options)
    full = ReuseStack(net, (2, 10, 11), isa=isa, slots=2, frames=options, reuse=False)
    frames = film(rng, (2, 10, 11), 6)
    for start in (0, 3):  # two episodes
        older = frames[start] if fill == "repeat" else torch.zeros_like(frames[0])
        history = [older] * lags
        stack.reset()
        full.reset()
        for frame in frames[start : start + 3]:
            history = [*history[1:], frame]
            with torch.inference_mode():
                expected = net(torch.cat(history)[None].float() / 255.0)
            pair = torch.stack([frame, frame])
            out = stack(pair)
            assert torch.equal(out, full(pair))
            assert torch.equal(out[0], out[1])
            assert close_to_torch(out[0], expected[0])


@pytest.mark.parametrize("isa", isas())
def test_a_lag_is_computed_once_it_has_changed(isa):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    stack = ReuseStack(net, SHAPE, isa=isa, frames=FrameOptions(lags=3, fill="repeat"))
    frame = torch.zeros(SHAPE, dtype=torch.uint8)
    stack(frame)
    moved = frame.clone()
    moved[0, 6, 5] = 9
    dirty = []
    for now in (moved, moved, moved, moved, moved):
        stack(now)
        dirty.append(stack.work[1].dirty)
    assert dirty == [9, 9, 9, 0, 0]


def test_lags_need_a_convolution_that_reads_them():
    with pytest.raises(ValueError, match="takes 1 channels, got 4"):
        ReuseStack(nn.Sequential(nn.Conv2d(1, 4, 3)), SHAPE, frames=FrameOptions(lags=4))
    with pytest.raises(ValueError, match="lags need a convolution as the first layer"):
        ReuseStack(nn.Sequential(nn.MaxPool2d(2)), SHAPE, frames=FrameOptions(lags=4))


@pytest.mark.parametrize("isa", isas())
def test_pixels_below_the_threshold_keep_their_old_value(isa):
    net = original_net()
    stack = ReuseStack(net, SHAPE, isa=isa, frames=FrameOptions(thresholds=(4.0, 0.0, 0.0, 0.0)))
    frame = torch.full(SHAPE, 100, dtype=torch.uint8)
    first = stack(frame)
    for _ in range(4):  # one at a time they would drift away
        frame = frame + 1
        assert torch.equal(stack(frame), first)
    stack(frame + 1)
    assert stack.work[0].fraction == 1
    with torch.inference_mode():
        assert close_to_torch(stack(frame + 1), net(torch.full((1, *SHAPE), 105.0)))


@pytest.mark.parametrize("isa", isas())
def test_layers_below_their_threshold_end_the_work(isa):
    net = original_net()
    frames = film(np.random.default_rng(3), SHAPE, 12)
    exact = ReuseStack(net, SHAPE, isa=isa)
    nothing = compare(
        exact,
        ReuseStack(net, SHAPE, isa=isa, frames=FrameOptions(thresholds=(0, 0, 0, 0))),
        frames,
    )
    assert (nothing.largest, nothing.agreement) == (0, 1)
    assert nothing.work == nothing.exact_work
    some = compare(
        exact,
        ReuseStack(net, SHAPE, isa=isa, frames=FrameOptions(thresholds=(0, 3.0, 3.0, 0))),
        frames,
    )
    assert some.frames == 12 and 0 < some.mean <= some.largest < 30
    assert some.work["2 Conv2d+ReLU"] < some.exact_work["2 Conv2d+ReLU"]
    assert some.work["0 Conv2d+ReLU"] == some.exact_work["0 Conv2d+ReLU"]
    endless = FrameOptions(thresholds=(0, 1e9, 0, 0))
    stack = ReuseStack(net, SHAPE, isa=isa, frames=endless)
    outputs = [stack(frame) for frame in frames]
    assert all(torch.equal(out, outputs[0]) for out in outputs)
    stack.reset()
    assert not torch.equal(stack(frames[-1]), outputs[0])


def test_a_deviation_needs_an_exact_stack_and_frames():
    net = original_net()
    rough = ReuseStack(net, SHAPE, frames=FrameOptions(thresholds=(1, 0, 0, 0)))
    with pytest.raises(ValueError, match="exact must have no thresholds"):
        compare(rough, rough, [])
    with pytest.raises(ValueError, match="at least one frame, got none"):
        compare(ReuseStack(net, SHAPE), rough, [])
