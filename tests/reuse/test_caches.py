"""When caches are valid: slots, parameters that change, snapshots, and what is refused."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from rlcompress.reuse import FrameOptions, ReuseStack
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


def optimiser_step(net: nn.Module) -> None:
    optimiser = torch.optim.Adam(net.parameters(), lr=0.1)
    net(torch.ones(1, *SHAPE)).sum().backward()
    optimiser.step()


def fused_step(net: nn.Module) -> None:
    """Moves no version counter of what it changes."""
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, fused=True)
    net(torch.ones(1, *SHAPE)).sum().backward()
    optimiser.step()


def load_state(net: nn.Module) -> None:
    net.load_state_dict({name: value + 0.1 for name, value in net.state_dict().items()})


def new_vector(net: nn.Module) -> None:
    vector = nn.utils.parameters_to_vector(net.parameters()).detach() * 1.5
    nn.utils.vector_to_parameters(vector, net.parameters())


def other_parameter(net: nn.Module) -> None:
    net[0].bias = nn.Parameter(torch.full((4,), 0.5))


@pytest.mark.parametrize(
    "change",
    [optimiser_step, fused_step, load_state, new_vector, other_parameter],
    ids=lambda c: c.__name__,
)
def test_no_change_of_parameters_leaves_a_stale_cache(isa, change):
    net = original_net()
    stack = ReuseStack(net, SHAPE, isa=isa)
    frame = frame_of()
    before = stack(frame)
    change(net)
    after = stack(frame)
    assert not torch.equal(before, after)
    assert close_to_torch(after, plain(net, frame))


def test_vectors_that_come_back_to_an_address_are_seen(isa):
    net = original_net()
    stack = ReuseStack(net, SHAPE, isa=isa)
    frame = frame_of()
    for seed in range(6):
        torch.manual_seed(seed)
        count = sum(p.numel() for p in net.parameters())
        for _ in range(2):
            nn.utils.vector_to_parameters(torch.randn(count) * 0.1, net.parameters())
        assert close_to_torch(stack(frame), plain(net, frame))


def test_moving_to_another_dtype_and_back(isa):
    net = original_net()
    stack = ReuseStack(net, SHAPE, isa=isa)
    frame = frame_of()
    first = stack(frame)
    net.to(torch.float64)
    assert stack(frame).dtype == torch.float64
    assert stack.isa == "torch"
    net.to(torch.float32)
    assert stack.isa == "torch" or stack.options.isa == isa
    assert torch.equal(stack(frame), first)


def test_changes_through_data_need_a_refresh(isa):
    net = original_net()
    stack = ReuseStack(net, SHAPE, isa=isa)
    frame = frame_of()
    stack(frame)
    net[0].weight.data.mul_(2)
    stack.refresh()
    assert close_to_torch(stack(frame), plain(net, frame))


def test_each_slot_remembers_its_own_environment(isa):
    net = original_net()
    stack = ReuseStack(net, SHAPE, slots=3, isa=isa)
    full = ReuseStack(net, SHAPE, slots=3, isa=isa, reuse=False)
    films = torch.stack([film(np.random.default_rng(seed), SHAPE, 5) for seed in range(3)], 1)
    for frames in films:
        assert torch.equal(stack(frames), full(frames))
    assert torch.equal(stack(films[-1]), full(films[-1]))
    assert all(work.dirty == 0 for work in stack.work)
    turned = films[-1][[2, 0]]
    assert torch.equal(stack(turned, slots=[2, 0]), full(turned))
    assert all(work.dirty == 0 for work in stack.work)
    stack.reset([1])
    stack(films[-1])
    assert [work.fraction for work in stack.work] == pytest.approx([1 / 3] * 4)


def test_pixels_that_the_caller_names_are_the_only_ones_looked_at(isa):
    net = original_net()
    stack = ReuseStack(net, SHAPE, isa=isa)
    frame = frame_of()
    first = stack(frame)
    mask = torch.zeros(1, 14, 11, dtype=torch.bool)
    changed = frame.clone()
    changed[0, 2:4, 5] ^= 255
    assert torch.equal(stack(changed, changed=mask), first)
    mask[0, 2:4, 5] = True
    assert close_to_torch(stack(changed, changed=mask), plain(net, changed))
    assert stack.work[0].dirty == 2
    assert np.array_equal(stack.masks()[0], mask[0].numpy())


def test_snapshots_go_back(isa):
    net = original_net()
    stack = ReuseStack(net, SHAPE, slots=2, isa=isa)
    frames = film(np.random.default_rng(1), SHAPE, 6)
    expected = stack(frames[0])
    snapshot = stack.save()
    for frame in frames:
        stack(frame)
    stack.restore(1, snapshot)
    assert torch.equal(stack(frames[0], slots=[1]), expected)
    assert all(work.dirty == 0 for work in stack.work)
    assert close_to_torch(stack(frames[3], slots=[1]), plain(net, frames[3]))


def test_snapshots_of_another_model_or_of_older_parameters_are_refused(isa):
    net = original_net()
    stack, other = (ReuseStack(net, SHAPE, isa=isa) for _ in range(2))
    stack(frame_of())
    snapshot = stack.save()
    with pytest.raises(ValueError, match="another model's"):
        other.restore(0, snapshot)
    with torch.no_grad():
        net[0].weight.mul_(2)
    stack(frame_of())
    with pytest.raises(ValueError, match="save again after parameters have changed"):
        stack.restore(0, snapshot)


def test_pickles_and_copies_start_without_memory(isa):
    stack = ReuseStack(original_net(), SHAPE, slots=2, isa=isa, frames=FrameOptions(divisor=255.0))
    frame = frame_of()
    expected = stack(frame)
    for twin in (pickle.loads(pickle.dumps(stack)), copy.deepcopy(stack)):
        assert torch.equal(twin(frame), expected)
        assert twin.options == stack.options and twin.work[0].fraction == 1


def test_what_cannot_be_run_is_refused_by_name(isa):
    stack = ReuseStack(original_net(), SHAPE, slots=2, isa=isa)
    frame = frame_of()
    refused = [
        (lambda: stack(frame.float()), "frames must stay torch.uint8, got torch.float32"),
        (lambda: stack(frame[:, 1:]), r"frames must stay \(B, 1, 14, 11\)"),
        (lambda: stack(frame[None][:0]), "got an empty batch"),
        (lambda: stack(frame[None].expand(3, 1, 14, 11)), "slots must be at least 3"),
        (lambda: stack(frame, slots=[2]), r"slots must be different and in 0..1, got \[2\]"),
        (lambda: stack(frame[None].expand(2, 1, 14, 11), slots=[0, 0]), "slots must be different"),
        (lambda: stack(frame, slots=[0, 1]), "slots must name one for each of 1 frames, got 2"),
        (lambda: stack(frame, changed=torch.zeros(1, 14, 11)), "changed must be a bool mask"),
        (lambda: stack.reset([5]), "slots must be different and in"),
    ]
    for call, message in refused:
        with pytest.raises(ValueError, match=message):
            call()
    assert stack(frame).shape == (1, 6)
