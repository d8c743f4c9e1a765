"""How the stack in plain torch lays out weights, pads and activates; it decides nothing."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from rlcompress.reuse.stages import Stage

BLOCKS = 16  # of a linear stage's input, for one partial sum


def packed(stage: Stage, weight: torch.Tensor) -> torch.Tensor:
    """Weights in the order in which a stage reads its input, outputs last."""
    if stage.kind == "conv":
        spatial = weight if weight.dim() == 4 else weight[:, :, None]
        return spatial.permute(2, 3, 1, 0).reshape(-1, weight.shape[0]).contiguous()
    channels, height, width = stage.in_shape
    count, features = stage.blocks
    rows = weight.reshape(-1, channels, height * width).permute(2, 1, 0).reshape(-1, len(weight))
    pieces = -(-count // BLOCKS)
    rows = F.pad(rows, (0, 0, 0, pieces * BLOCKS * features - len(rows)))
    return rows.reshape(pieces, BLOCKS * features, -1).contiguous()


def with_border(image: torch.Tensor, padding: tuple[int, int], value: float) -> torch.Tensor:
    """An image [..., H, W] with ``value`` around it."""
    rows, columns = padding
    return F.pad(image, (columns, columns, rows, rows), value=value) if rows or columns else image


def activated(stage: Stage, values: torch.Tensor) -> torch.Tensor:
    """The values behind the stage's activation."""
    if stage.activation == "relu":
        return values.relu()
    return values.tanh() if stage.activation == "tanh" else values
