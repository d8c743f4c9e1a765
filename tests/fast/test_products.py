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
