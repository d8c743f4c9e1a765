"""Which pixels differ between two frames; what follows from it is for the layers."""

from __future__ import annotations

import torch


def changed_pixels(
    before: torch.Tensor, after: torch.Tensor, threshold: float = 0.0
) -> torch.Tensor:
    """Mask (..., H, W) of the pixels of frames (..., C, H, W) that differ by more than that.

    Differences are taken in a wider type: bytes do not wrap around.
    """
    if before.shape != after.shape or before.dtype != after.dtype:
        raise ValueError(
            f"frames must keep their shape and dtype, {tuple(before.shape)} {before.dtype}, "
            f"got {tuple(after.shape)} {after.dtype}"
        )
    if threshold == 0:
        return (before != after).any(-3)
    wide = torch.int16 if before.dtype == torch.uint8 else before.dtype
    near = (after.to(wide) - before.to(wide)).abs() <= threshold
    return (~near).any(-3)  # what is not a number is never near
