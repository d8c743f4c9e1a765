"""Matrix products as the traced update writes them, where a loop is faster than a library's call.

Networks of reinforcement learning end in one value or a few actions. A product with so narrow a
matrix is a call of its own that mostly waits for memory; as a loop it joins the activations around
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

_NARROW = 4
"""Up to this many terms a product is written as their sum."""
_WIDE = 64
"""From here on rounding the factors first costs less than it saves."""


def rewrites(*, on_cpu: bool, bfloat16: bool = False) -> Mapping[Any, Callable[..., Any]]:
    """What ``make_fx`` replaces, by operation; products stay whole on other devices than CPUs.

    ``bfloat16`` rounds both factors of wide products, and the product, to 8 bits of precision.
    """
    found: dict[Any, Callable[..., Any]] = {torch.ops.aten.addmm.default: _product_and_sum}
    if on_cpu:
        found[torch.ops.aten.mm.default] = _rounded_product if bfloat16 else _product
    return found


def _product_and_sum(
    bias: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, *, beta: int = 1, alpha: int = 1
) -> torch.Tensor:
    """Apart, the sum costs nothing: it joins the loop of the activation that follows."""
    assert beta == 1 and alpha == 1
    return torch.mm(x, weight) + bias


def _product(x: torch.Tensor, y: torch.Tensor) -> Any:
    (rows, inner), columns = x.shape, y.shape[1]
    if inner <= _NARROW:
        terms = [x[:, i : i + 1] * y[i : i + 1] for i in range(inner)]
        return sum(terms[1:], start=terms[0])
    if columns == 1:
        return (x * y.t()).sum(1, keepdim=True)
    if rows == 1:
        return (x.t() * y).sum(0, keepdim=True)
    return NotImplemented


def _rounded_product(x: torch.Tensor, y: torch.Tensor) -> Any:
    if x.dtype != torch.float32 or min(*x.shape, y.shape[1]) < _WIDE:
        return _product(x, y)
    return torch.mm(x.bfloat16(), y.bfloat16()).float()
