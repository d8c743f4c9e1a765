"""Matrix products as the traced update writes them, where a loop is faster than a library's call.

Networks of reinforcement learning end in one value or a few actions. A product with so narrow a
matrix is a call of its own that mostly waits for memory; as a loop it joins the activations around
it. Where rounding was asked for, wide products and convolutions multiply bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

_NARROW = 4
"""Up to this many terms a product is written as their sum."""
_WIDE = 64
"""From here on rounding the factors first costs less than it saves."""


def rewrites(*, on_cpu: bool, bfloat16: bool = False) -> Mapping[Any, Callable[..., Any]]:
    """What ``make_fx`` replaces, by operation; products stay whole on other devices than CPUs.

    ``bfloat16`` rounds both factors of wide products and of convolutions, and what they give, to 8
    bits of precision.
    """
    aten = torch.ops.aten
    found: dict[Any, Callable[..., Any]] = {aten.addmm.default: _product_and_sum}
    if on_cpu:
        found[aten.mm.default] = _rounded_product if bfloat16 else _product
    if on_cpu and bfloat16:
        found[aten.convolution.default] = _rounded_convolution
        found[aten.convolution_backward.default] = _rounded_convolution_backward
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


def _rounded_convolution(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, *how: Any
) -> Any:
    if x.dtype != torch.float32:
        return NotImplemented
    result = torch.convolution(x.bfloat16(), weight.bfloat16(), None, *how).float()
    return result if bias is None else result + bias.reshape(-1, *[1] * (x.ndim - 2))


def _rounded_convolution_backward(
    gradient: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias_sizes: Sequence[int] | None,
    *how: Any,
) -> Any:
    if gradient.dtype != torch.float32:
        return NotImplemented
    *geometry, (of_x, of_weight, of_bias) = how
    factors = (gradient.bfloat16(), x.bfloat16(), weight.bfloat16())
    wanted = [of_x, of_weight, False]
    found = torch.ops.aten.convolution_backward(*factors, None, *geometry, wanted)
    to_x, to_weight = (part if part is None else part.float() for part in found[:2])
    # The bias has no factors to round: its gradient is a sum, and stays one of float32.
    to_bias = gradient.sum([0, *range(2, gradient.ndim)]) if of_bias else None
    return to_x, to_weight, to_bias
