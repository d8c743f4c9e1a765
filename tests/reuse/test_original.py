"""The published algorithm gives what the dense network gives, gradients included."""

import numpy as np
import torch
from hypothesis import given, settings

from rlcompress.reuse.original import OriginalReuse, paper_network
from tests.reuse.recordings import sequences


def network(shape):
    return paper_network(4, shape[1:], 3, seed=0, channels=shape[0]).double()


def tensors(frames):
    return [torch.from_numpy(frame)[None].double() for frame in frames]


@given(frames=sequences((1, 12, 10)))
@settings(max_examples=30)
def test_logits_and_gradients_are_the_dense_network_s(frames):
    dense, reusing = network(frames.shape[1:]), network(frames.shape[1:])
    original = OriginalReuse(reusing)
    expected = torch.cat([dense(x) for x in tensors(frames)])
    found = torch.cat([original(x) for x in tensors(frames)])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-10)
    weights = torch.arange(expected.numel()).view_as(expected) / 7
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    for a, b in zip(reusing.parameters(), dense.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-10, atol=1e-8)


def test_a_frame_like_the_last_keeps_the_maps():
    frames = np.full((2, 1, 12, 10), 5, np.uint8)
    original = OriginalReuse(network((1, 12, 10)))
    original(tensors(frames)[0])
    before = original._maps
    original(tensors(frames)[1])
    assert original._maps is before


def test_after_forgetting_new_weights_count():
    net = network((1, 12, 10))
    original = OriginalReuse(net)
    x = tensors(np.full((1, 1, 12, 10), 5, np.uint8))[0]
    original(x)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(0.5)
    original.forget()
    torch.testing.assert_close(original(x), net(x))


def test_networks_of_one_seed_are_alike_and_leave_the_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, second = network((1, 12, 10)), network((1, 12, 10))
    assert torch.equal(torch.rand(1), expected)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert [tuple(p.shape) for p in first.parameters()] == [
        (4, 1, 3, 3), (4,), (8, 4, 3, 3), (8,), (3, 8 * 8 * 6),
    ]  # fmt: skip
