"""Which outputs of a layer a changed input can reach; it computes no layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Window:
    """How a convolution or pooling moves over a map: everything as (rows, columns)."""

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)

    def extent(self, axis: int) -> int:
        """Inputs from the first to the last that one output reads along ``axis``."""
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1

    def outputs(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the output of an input of ``size``."""
        height, width = (
            (size[a] + 2 * self.padding[a] - self.extent(a)) // self.stride[a] + 1 for a in (0, 1)
        )
        return height, width


def dirty_outputs(window: Window, axis: int, first: int, last: int, size: int) -> tuple[int, int]:
    """First and last output along ``axis`` that read any input of ``first``..``last``.

    ``size`` is the number of outputs. Exact at dilation 1, an upper bound beyond; an empty interval
    has its last before its first.
    """
    stride, reach = window.stride[axis], first + window.padding[axis] - window.extent(axis) + 1
    return max(0, -(-reach // stride)), min(size - 1, (last + window.padding[axis]) // stride)


def needed_inputs(window: Window, axis: int, first: int, last: int, size: int) -> tuple[int, int]:
    """First and last input along ``axis`` (of ``size``) that outputs ``first``..``last`` read."""
    stride, padding = window.stride[axis], window.padding[axis]
    end = last * stride - padding + window.extent(axis) - 1
    return max(0, first * stride - padding), min(size - 1, end)


def dilate(window: Window, mask: torch.Tensor) -> torch.Tensor:
    """The output positions (..., h, w) of which any input in ``mask`` (..., H, W) is read."""
    rows, columns = window.padding
    padded = F.pad(mask.to(torch.float32), (columns, columns, rows, rows))
    while padded.dim() < 3:
        padded = padded.unsqueeze(0)
    pooled = F.max_pool2d(padded, window.kernel, window.stride, 0, window.dilation)
    return pooled.reshape(*mask.shape[:-2], *pooled.shape[-2:]) > 0
