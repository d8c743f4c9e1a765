"""Counts the steps of fused optimizers, which change parameters and move no version counter."""

from __future__ import annotations

from typing import Any

from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

_taken = [0]


def fused_steps() -> int:
    """Steps of all fused optimizers of this process so far."""
    return _taken[0]


def _count(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    if any(group.get("fused") for group in optimizer.param_groups):
        _taken[0] += 1


register_optimizer_step_post_hook(_count)
