"""Outputs of stacks: against plain torch, with reuse and without, whatever came before."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rlcompress.reuse import FrameOptions, ReuseStack
from rlcompress.reuse.native import isas
from tests.reuse.stacks import close_to_torch, film, original_net, random_stack

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("isa", isas())
@given(seed=SEEDS, flat=st.booleans())
@settings(max_examples=25, deadline=None)
def test_reuse_gives_the_bits_of_full_computation_and_nearly_those_of_torch(isa, seed, flat):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    channels, rows, columns = int(rng.integers(1, 4)), int(rng.integers(1, 14)), 13
    shape = (channels, columns) if flat else (channels, rows, columns)
    net = random_stack(rng, (channels, 1 if flat else rows, columns), flat=flat)
    options = FrameOptions(divisor=255.0)
    reusing = ReuseStack(net, shape, isa=isa, frames=options)
    full = ReuseStack(net, shape, isa=isa, frames=options, reuse=False)
    frames = film(rng, shape, 6)
    with torch.inference_mode():
        expected = net(frames.float() / 255.0)
    for frame, row in zip(frames, expected, strict=True):
        out = reusing(frame)
        assert torch.equal(out, full(frame))
        assert close_to_torch(out[0], row)


@pytest.mark.parametrize("isa", isas())
@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_no_history_changes_a_bit(isa, seed):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    net = random_stack(rng, (2, 12, 11))
    frames = film(rng, (2, 12, 11), 8)
    stack = ReuseStack(net, (2, 12, 11), isa=isa)
    expected = [stack(frame) for frame in frames]
    for index in rng.permutation(len(frames)):
        assert torch.equal(stack(frames[index]), expected[index])
    stack.reset()
    assert torch.equal(stack(frames[0]), expected[0])


@pytest.mark.parametrize("isa", isas())
def test_instruction_sets_agree_closely(isa):
    net = original_net(20)
    frames = film(np.random.default_rng(0), (1, 14, 11), 5)
    stack, torch_stack = (ReuseStack(net, (1, 14, 11), isa=name) for name in (isa, "torch"))
    for frame in frames:
        assert close_to_torch(stack(frame), torch_stack(frame))
    for ours, theirs in zip(stack.masks(), torch_stack.masks(), strict=True):
        assert np.array_equal(ours, theirs)
    for layer in range(3):
        assert close_to_torch(stack.activation(layer), torch_stack.activation(layer))


@pytest.mark.parametrize("isa", isas())
def test_only_what_a_pixel_reaches_is_computed(isa):
    stack = ReuseStack(original_net(), (1, 14, 11), isa=isa)
    frame = torch.zeros(1, 14, 11, dtype=torch.uint8)
    stack(frame)
    assert [work.fraction for work in stack.work] == [1, 1, 1, 1]
    frame[0, 6, 5] = 200
    stack(frame)
    assert [work.dirty for work in stack.work][:2] == [1, 9]
    assert stack.work[2].dirty <= 25
    stack(frame)
    assert [work.dirty for work in stack.work] == [0, 0, 0, 0]
    assert [work.name for work in stack.work] == [
        "frame", "0 Conv2d+ReLU", "2 Conv2d+ReLU", "5 Linear"]  # fmt: skip


def test_large_layers_cross_every_boundary():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 33, (3, 2), (2, 1), padding="valid"), nn.Tanh(), nn.MaxPool2d(2),
        nn.Conv2d(33, 170, 3, padding="same"), nn.Flatten(), nn.Linear(170 * 9 * 36, 100),
        nn.ReLU(), nn.Linear(100, 19), nn.Tanh())  # fmt: skip
    frames = film(np.random.default_rng(0), (3, 38, 73), 4)
    for isa in isas():
        stack = ReuseStack(net, (3, 38, 73), isa=isa)
        full = ReuseStack(net, (3, 38, 73), isa=isa, reuse=False)
        for frame in frames:
            out = stack(frame)
            assert torch.equal(out, full(frame))
            with torch.inference_mode():
                assert torch.allclose(out, net(frame[None].float()), atol=2e-4)


@pytest.mark.parametrize("isa", isas())
def test_float_frames(isa):
    options = FrameOptions(dtype=torch.float32)
    net = original_net()
    stack = ReuseStack(net, (1, 14, 11), isa=isa, frames=options)
    frame = torch.randn(1, 14, 11)
    for _ in range(3):
        frame = frame.clone()
        frame[0, 3, 4] += 0.5
        with torch.inference_mode():
            assert close_to_torch(stack(frame), net(frame[None]))
    assert stack.work[0].dirty == 1


def test_float64_runs_in_torch():
    net = original_net().to(torch.float64)
    stack = ReuseStack(net, (1, 14, 11))
    frames = film(np.random.default_rng(0), (1, 14, 11), 3)
    assert stack.isa == "torch"
    for frame in frames:
        out = stack(frame)
        assert out.dtype == torch.float64
        with torch.inference_mode():
            assert torch.allclose(out, net(frame[None].double()), rtol=1e-12)


@pytest.mark.parametrize("isa", isas())
def test_weights_that_are_not_finite_give_what_torch_gives(isa):
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 40), nn.ReLU(),
        nn.Linear(40, 3))  # fmt: skip
    with torch.no_grad():
        net[3].weight[0, 0] = float("inf")
        net[0].bias[1] = float("nan")
    frame = torch.zeros(1, 8, 8, dtype=torch.uint8)
    out = ReuseStack(net, (1, 8, 8), isa=isa)(frame)
    with torch.inference_mode():
        assert torch.equal(out.isnan(), net(frame[None].float()).isnan())


@pytest.mark.parametrize("isa", isas())
def test_frames_of_any_memory_layout(isa):
    net = original_net()
    stack, other = (ReuseStack(net, (1, 14, 11), isa=isa, slots=2) for _ in range(2))
    wide = torch.randint(0, 256, (2, 1, 11, 28), dtype=torch.uint8)
    view = wide.transpose(2, 3)[:, :, ::2]
    assert torch.equal(stack(view), other(view.contiguous().numpy()))
