"""Criteria: how much each single weight is worth; knows nothing of layers, budgets or masks.

A new criterion is a function with ``@criterion("name")`` above it, in a module that is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch

Criterion: TypeAlias = Callable[[torch.Tensor, torch.Tensor | None, torch.Generator], torch.Tensor]
"""(weight, gradient or None, generator) -> finite score of the same shape; higher is kept."""

CRITERIA: dict[str, Criterion] = {}


def criterion(name: str) -> Callable[[Criterion], Criterion]:
    """Register a criterion under ``name``."""

    def register(function: Criterion) -> Criterion:
        CRITERIA[name] = function
        return function

    return register


@criterion("magnitude")
def magnitude(
    weight: torch.Tensor, grad: torch.Tensor | None, generator: torch.Generator
) -> torch.Tensor:
    """Absolute value: small weights go first."""
    return weight.abs()


@criterion("random")
def random(
    weight: torch.Tensor, grad: torch.Tensor | None, generator: torch.Generator
) -> torch.Tensor:
    """Uniform noise: the control that any other criterion has to beat."""
    # Drawn on the generator's device, so that a seed means the same on every training device.
    noise = torch.rand(weight.shape, generator=generator, device=generator.device)
    return noise.to(weight.device)
