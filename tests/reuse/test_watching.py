"""Modules that change under a stack: followed where that is possible, else refused by name."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from rlcompress.reuse import FrameOptions, Replay, ReuseStack
from rlcompress.reuse.native import isas
from tests.reuse.stacks import close_to_torch, film, original_net

SHAPE = (1, 14, 11)


@pytest.fixture(params=isas())
def isa(request):
    return request.param


def frame_of(seed: int = 0) -> torch.Tensor:
    return film(np.random.default_rng(seed), SHAPE, 1)[0]


def plain(net: nn.Module, frame: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return net(frame[None].float())


def other_layer(net: nn.Sequential) -> None:
    net[2] = nn.Conv2d(4, 8, 3)


def other_activation(net: nn.Sequential) -> None:
    net[1] = nn.Tanh()


def wider_layers(net: nn.Sequential) -> None:
    net[0], net[2] = nn.Conv2d(1, 5, 3), nn.Conv2d(5, 8, 3)


def one_layer_more(net: nn.Sequential) -> None:
    net.append(nn.Tanh())


def bias_where_there_was_none(net: nn.Sequential) -> None:
    net[5].bias = nn.Parameter(torch.arange(6.0))


def no_bias_any_more(net: nn.Sequential) -> None:
    net[0].bias = None


def other_memory(net: nn.Sequential) -> None:
    net[0].weight.data = torch.randn(4, 1, 3, 3)


CHANGES = [
    other_layer,
    other_activation,
    wider_layers,
    one_layer_more,
    bias_where_there_was_none,
    no_bias_any_more,
    other_memory,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.__name__)
def test_modules_that_are_replaced_are_followed(isa, change):
    net = original_net()
    stack = ReuseStack(net, SHAPE, isa=isa)
    frame = frame_of()
    before = stack(frame)
    change(net)
    after = stack(frame)
    assert not torch.equal(before, after)
    assert close_to_torch(after, plain(net, frame))


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.__name__)
def test_replays_follow_modules_that_are_replaced(change):
    net = original_net()
    replay = Replay(net, SHAPE)
    frames = film(np.random.default_rng(0), SHAPE, 3)
    replay(frames.numpy())
    change(net)
    with torch.inference_mode():
        assert close_to_torch(replay(frames.numpy()), net(frames.float()))


def test_thresholds_have_to_fit_the_new_modules(isa):
    net = original_net()
    stack = ReuseStack(net, SHAPE, isa=isa, frames=FrameOptions(thresholds=(1.0,) * 4))
    stack(frame_of())
    net.append(nn.Linear(6, 2))
    for _ in range(2):
        with pytest.raises(ValueError, match="thresholds must be 5"):
            stack(frame_of())


def pruned(net: nn.Sequential) -> None:
    prune.l1_unstructured(net[0], "weight", 0.5)


def smaller_weight(net: nn.Sequential) -> None:
    net[0].weight = nn.Parameter(torch.ones(2, 1, 3, 3))


def longer_bias(net: nn.Sequential) -> None:
    net[0].bias = nn.Parameter(torch.ones(9))


def other_input(net: nn.Sequential) -> None:
    net[0] = nn.Conv2d(2, 4, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pruned, "module 0 Conv2d must have its weight as a parameter.*prune.remove"),
        (smaller_weight, r"must have a weight of \(4, 1, 3, 3\), got \(2, 1, 3, 3\)"),
        (longer_bias, r"must have a bias of \(4,\), got \(9,\)"),
        (other_input, "module 0 Conv2d takes 2 channels, got 1"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_does_not_fit_any_more_is_refused_before_and_after(isa, change, message):
    net = original_net()
    stack = ReuseStack(net, SHAPE, isa=isa)
    stack(frame_of())
    change(net)
    for call in (lambda: stack(frame_of()), lambda: ReuseStack(net, SHAPE, isa=isa)):
        with pytest.raises(ValueError, match=message):
            call()


def test_snapshots_do_not_outlive_a_visit_to_another_dtype(isa):
    net = original_net()
    stack = ReuseStack(net, SHAPE, isa=isa)
    stack(frame_of())
    for _ in range(5):  # plans come and go, one may come to lie where another one lay
        snapshot = stack.save()
        net.double()
        stack(frame_of())
        net.float()
        stack(frame_of())
        with pytest.raises(ValueError, match="save again after parameters have changed"):
            stack.restore(0, snapshot)


def test_a_slot_without_frames_has_nothing_to_show(isa):
    stack = ReuseStack(original_net(), SHAPE, slots=2, isa=isa)
    stack(frame_of())
    stack(frame_of(), slots=[1])
    stack.reset([0])
    for ask in (stack.masks, lambda slot: stack.activation(0, slot)):
        ask(1)
        with pytest.raises(ValueError, match="slot 0 must have seen a frame"):
            ask(0)
    with pytest.raises(ValueError, match=r"layer must be in 0\.\.2, got 3"):
        stack.activation(3, 1)


def test_the_default_dtype_is_nobody_s_business(isa):
    stack = ReuseStack(original_net(), SHAPE, slots=2, isa=isa)
    frame = frame_of()
    expected, pair = stack(frame), torch.stack([frame, frame])
    torch.set_default_dtype(torch.float64)
    try:
        found = [stack(frame), stack(pair)[:1], stack.activation(2)[None, :, 0, 0]]
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(out.dtype == torch.float32 and torch.equal(out, expected) for out in found)
