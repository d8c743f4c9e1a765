"""What a stack takes, and what it says about the rest; which outputs a pixel reaches."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rlcompress.reuse import FrameOptions, ReuseStack
from rlcompress.reuse.changes import changed_pixels
from rlcompress.reuse.geometry import Window, dilate, dirty_outputs, needed_inputs
from rlcompress.reuse.stages import read_modules

SHAPE = (1, 12, 12)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)], "module 1 BatchNorm2d is none of .*fold it into"),
        ([nn.Dropout()], "module 0 Dropout is none of .*leave it out"),
        ([nn.AdaptiveAvgPool2d(1)], "module 0 AdaptiveAvgPool2d .*use AvgPool2d"),
        ([nn.LSTM(3, 4)], "module 0 LSTM .*keep it behind the stack"),
        ([nn.GELU()], "module 0 GELU .*split it into those"),
        ([nn.Conv2d(2, 4, 3, groups=2)], "groups=1, got 2"),
        ([nn.Conv2d(1, 4, 3, padding=1, padding_mode="reflect")], "pad with zeros, got 'reflect'"),
        ([nn.Conv2d(1, 4, 2, padding="same")], "pads unequally"),
        ([nn.Conv2d(3, 4, 3)], "takes 3 channels, got 1"),
        ([nn.Conv2d(1, 4, 13)], "larger than its input of 12x12"),
        ([nn.Conv1d(1, 4, 3)], r"needs an input_shape \(C, L\)"),
        ([nn.Linear(144, 3)], "needs a Flatten before it"),
        ([nn.Flatten(), nn.Linear(100, 3)], "takes 100 features, got 144 from 1x12x12"),
        ([nn.Flatten(), nn.Conv2d(1, 4, 3)], "needs a map, but stands behind a Flatten"),
        ([nn.Flatten(2), nn.Linear(144, 3)], "must flatten everything behind the batch"),
        ([nn.MaxPool2d(2, ceil_mode=True)], "ceil_mode=False"),
        ([nn.AvgPool2d(3, padding=1, count_include_pad=False)], "count_include_pad=True"),
        ([nn.AvgPool2d(3, divisor_override=2)], "divisor_override=None"),
        ([nn.Flatten()], "at least one layer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_modules_that_cannot_be_taken_are_named(modules, message):
    with pytest.raises(ValueError, match=message):
        ReuseStack(nn.Sequential(*modules), SHAPE)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda net: ReuseStack(net, (12,)), r"input_shape must be \(C, H, W\) or \(C, L\)"),
        (lambda net: ReuseStack(net, SHAPE, slots=0), "slots must be 1 or more, got 0"),
        (lambda net: ReuseStack(net, SHAPE, isa="mmx"), "isa must be 'auto' or one of"),
        (
            lambda net: ReuseStack(net, SHAPE, frames=FrameOptions(thresholds=(1.0,))),
            r"thresholds must be 2, the pixels' and one per layer of \['0 Conv2d'\], got 1",
        ),
        (lambda net: FrameOptions(lags=0), "lags must be in 1..64"),
        (lambda net: FrameOptions(fill="ones"), "fill must be 'zero' or 'repeat'"),
        (lambda net: FrameOptions(divisor=0.0), "divisor must be above 0"),
        (lambda net: FrameOptions(thresholds=(-1.0,)), "thresholds must be 0 or more"),
        (lambda net: FrameOptions(dtype=torch.int32), "dtype must be torch.uint8 or"),
    ],
)
def test_options_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make(nn.Sequential(nn.Conv2d(1, 2, 3)))


def test_mixed_parameters_are_refused():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3).to(torch.float64))
    with pytest.raises(ValueError, match="one dtype and device"):
        ReuseStack(net, SHAPE)


def test_parameters_that_do_not_count_their_changes_are_refused():
    with torch.inference_mode():
        net = nn.Sequential(nn.Conv2d(1, 2, 3))
    with pytest.raises(ValueError, match="make the modules outside of it"):
        ReuseStack(net, SHAPE)


def test_nested_stacks_and_activations_of_their_own():
    net = nn.Sequential(
        nn.Tanh(), nn.Sequential(nn.Conv2d(1, 2, 3), nn.Identity(), nn.ReLU()), nn.Tanh()
    )
    layout = read_modules(net, SHAPE)
    assert [stage.name for stage in layout.stages] == ["0 Tanh", "1.0 Conv2d+ReLU", "2 Tanh"]
    assert layout.out_shape == (2, 10, 10)
    frame = torch.randint(0, 3, SHAPE, dtype=torch.uint8)
    with torch.inference_mode():
        expected = net(frame[None].float())
    assert torch.allclose(ReuseStack(net, SHAPE)(frame), expected, atol=1e-5)


windows = st.builds(
    Window,
    *[
        st.tuples(st.integers(low, high), st.integers(low, high))
        for low, high in ((1, 4), (1, 3), (0, 3), (1, 3))
    ],
)


@given(windows, st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_masks_hold_exactly_the_outputs_that_read_a_changed_input(window, seed):
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(1, 12)), int(rng.integers(1, 12)))
    rows, columns = window.outputs(size)
    if rows < 1 or columns < 1:
        return
    mask = rng.random(size) < 0.15
    expected = np.zeros((rows, columns), bool)
    for u in range(rows):
        for v in range(columns):
            for i in range(window.kernel[0]):
                for j in range(window.kernel[1]):
                    y = u * window.stride[0] - window.padding[0] + i * window.dilation[0]
                    x = v * window.stride[1] - window.padding[1] + j * window.dilation[1]
                    if 0 <= y < size[0] and 0 <= x < size[1]:
                        expected[u, v] |= mask[y, x]
    assert np.array_equal(dilate(window, torch.from_numpy(mask)).numpy(), expected)
    if window.dilation == (1, 1) and mask.any():
        for axis in (0, 1):
            reached, hit = expected.any(1 - axis), mask.any(1 - axis)
            first, last = np.flatnonzero(hit)[[0, -1]]
            low, high = dirty_outputs(window, axis, first, last, reached.size)
            found = np.flatnonzero(reached)
            assert not found.size or (low <= found[0] and found[-1] <= high)
            if first == last:
                assert found.tolist() == list(range(low, high + 1)) or min(window.kernel) < 1 or (
                    not found.size)  # fmt: skip
            begin, end = needed_inputs(window, axis, 0, reached.size - 1, size[axis])
            assert 0 <= begin and end <= size[axis] - 1


def test_pixels_differ_in_any_channel_and_by_more_than_a_threshold():
    before = torch.zeros(2, 3, 3, dtype=torch.uint8)
    after = before.clone()
    after[1, 0, 2], after[0, 1, 1] = 255, 3
    assert changed_pixels(before, after).nonzero().tolist() == [[0, 2], [1, 1]]
    assert changed_pixels(after, before, 3).nonzero().tolist() == [[0, 2]]
    with pytest.raises(ValueError, match="must keep their shape and dtype"):
        changed_pixels(before, after[:1])
