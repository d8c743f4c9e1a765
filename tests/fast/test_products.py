"""Products written as loops, or of rounded factors, are the products."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from rlcompress.fast.products import rewrites

MM = torch.ops.aten.mm.default


def traced(x, y, **how):
    """The product's graph, and how often it still calls a library."""
    graph = make_fx(torch.mm, rewrites(**how))(x, y)
    return graph, sum(node.target is MM for node in graph.graph.nodes)


def factors(rows, inner, columns):
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(shape, generator=generator) for shape in ((rows, inner), (inner, columns)))


@pytest.mark.parametrize("shape", [(32, 48, 1), (1, 48, 32), (32, 1, 48), (32, 4, 48), (1, 1, 1)])
@pytest.mark.parametrize("bfloat16", [False, True])
def test_narrow_products_are_loops(shape, bfloat16):
    x, y = factors(*shape)
    graph, calls = traced(x, y, on_cpu=True, bfloat16=bfloat16)
    assert calls == 0
    torch.testing.assert_close(graph(x, y), x @ y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("shape", "how"), [((32, 5, 2), True), ((32, 48, 1), False)])
def test_others_stay_whole(shape, how):
    x, y = factors(*shape)
    graph, calls = traced(x, y, on_cpu=how)
    assert calls == 1
    assert torch.equal(graph(x, y), x @ y)


def test_wide_products_are_rounded_where_asked():
    x, y = factors(64, 80, 96)
    graph, calls = traced(x, y, on_cpu=True, bfloat16=True)
    found = graph(x, y)
    assert calls == 1 and found.dtype == torch.float32
    assert torch.equal(found, (x.bfloat16() @ y.bfloat16()).float())
    assert not torch.allclose(found, x @ y, rtol=1e-5)
    graph, _ = traced(x.double(), y.double(), on_cpu=True, bfloat16=True)
    assert torch.equal(graph(x.double(), y.double()), x.double() @ y.double())
    narrower, z = factors(64, 80, 63)
    graph, _ = traced(narrower, z, on_cpu=True, bfloat16=True)
    assert torch.equal(graph(narrower, z), narrower @ z)


def convolved(weight, bias, x):
    """A convolution of images with a stride, and the gradients of its parameters and images."""
    leaves = [part.detach().requires_grad_() for part in (weight, bias, x)]
    result = torch.nn.functional.conv2d(leaves[2], leaves[0], leaves[1], stride=2, padding=1)
    return result, *torch.autograd.grad(result.square().sum(), leaves)


def images():
    """Weights, biases and images."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((6, 4, 3, 3), (6,), (5, 4, 9, 9))
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


def test_convolutions_multiply_rounded_factors_where_asked():
    arguments = images()
    graph = make_fx(convolved, rewrites(on_cpu=True, bfloat16=True))(*arguments)
    found, exact = graph(*arguments), convolved(*arguments)
    weight, bias, x = arguments
    product = torch.nn.functional.conv2d(x.bfloat16(), weight.bfloat16(), stride=2, padding=1)
    assert torch.equal(found[0], product.float() + bias.reshape(-1, 1, 1))
    for rounded, full in zip(found, exact, strict=True):
        assert rounded.dtype == torch.float32 and rounded.shape == full.shape
        assert not torch.equal(rounded, full)
        assert (rounded - full).norm() < 0.01 * full.norm()


@pytest.mark.parametrize("how", [{"on_cpu": True}, {"on_cpu": False, "bfloat16": True}])
def test_convolutions_stay_as_they_are_elsewhere(how):
    arguments = images()
    graph = make_fx(convolved, rewrites(**how))(*arguments)
    for same, full in zip(graph(*arguments), convolved(*arguments), strict=True):
        assert torch.equal(same, full)


def test_convolutions_of_doubles_are_not_rounded():
    arguments = tuple(part.double() for part in images())
    graph = make_fx(convolved, rewrites(on_cpu=True, bfloat16=True))(*arguments)
    for same, full in zip(graph(*arguments), convolved(*arguments), strict=True):
        assert torch.equal(same, full)
