"""What it means that a student does what its teacher does: losses, errors and actions per head.

Continuous policies are compared by the actions that reach the environment, as parts of half the
action's range; discrete ones by the advantage of each action over the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch.nn import functional

from rlcompress.sb3.actors import Actor

_SHARPNESS = 1.0
"""Temperature of the softmax over action values, in median leads of the best action."""

_SMALLEST = 1e-6


@dataclass(frozen=True)
class Likeness:
    """How alike the actions of two policies are on some observations.

    ``error`` is the root mean square of the differences in halves of the action's range, or the
    part of other actions where they are discrete. ``agreement`` is the part of equal actions, and
    ``weighed`` the same with each observation counted by how much the teacher prefers its action:
    where two actions are as good as each other, either will do. Both are 1 for continuous actions.
    """

    error: float
    agreement: float = 1.0
    weighed: float = 1.0


@dataclass(frozen=True)
class Matching:
    """How outputs of one kind of actor are compared.

    ``low`` and ``high`` bound the actions of a Box (None: discrete); ``temperature`` is in units of
    the outputs and makes probabilities of a discrete policy's values. ``quantiles`` of an output
    are averaged.
    """

    head: str
    quantiles: int
    low: torch.Tensor | None
    high: torch.Tensor | None
    temperature: float = 1.0

    @classmethod
    def of(cls, actor: Actor, space: spaces.Space[Any]) -> Matching:
        """The matching of an actor with this action space."""
        low = high = None
        if isinstance(space, spaces.Box):
            low, high = (
                torch.as_tensor(np.asarray(bound, np.float32).reshape(-1))
                for bound in (space.low, space.high)
            )
        return cls(actor.head, actor.quantiles, low, high)

    @property
    def discrete(self) -> bool:
        """Whether actions are numbers of a list."""
        return self.head == "argmax"

    def values(self, output: torch.Tensor) -> torch.Tensor:
        """An actor's raw output as (batch, actions): quantiles averaged."""
        if self.discrete and self.quantiles > 1:
            return output.view(len(output), self.quantiles, -1).mean(1)
        return output

    def lead(self, values: torch.Tensor) -> float:
        """Median lead of the best action: the natural unit of a discrete policy's values."""
        if not self.discrete or values.shape[1] < 2:
            return 1.0
        best = values.topk(2).values
        typical = float((best[:, 0] - best[:, 1]).median())
        return max(_SHARPNESS * typical, _SMALLEST * max(1.0, float(values.abs().max())))

    def loss(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """Mean squared error of actions, or divergence of the probabilities of actions."""
        if self.discrete:
            return functional.kl_div(
                torch.log_softmax(student / self.temperature, 1),
                torch.log_softmax(teacher / self.temperature, 1),
                log_target=True,
                reduction="batchmean",
            )
        return self._difference(student, teacher).square().mean()

    def effect(self, values: torch.Tensor) -> torch.Tensor:
        """What the environment feels of the outputs, differentiable: for judging weights by it."""
        if self.discrete:
            return torch.softmax(values / self.temperature, 1)
        if self.head == "squash":
            return torch.tanh(values)
        return values / self._half

    def actions(self, values: torch.Tensor, shape: tuple[int, ...]) -> NDArray[Any]:
        """Actions for the environment, as the artifact's head computes them."""
        if self.discrete:
            chosen: NDArray[Any] = values.argmax(1).cpu().numpy()
            return chosen
        return self.in_units(self.unit(values).cpu()).numpy().reshape(-1, *shape)

    def unit(self, values: torch.Tensor) -> torch.Tensor:
        """Actions with the range of the action space moved to -1 .. 1."""
        if self.head == "squash":
            return torch.tanh(values)
        assert self.low is not None and self.high is not None
        low, high = self.low.to(values.device), self.high.to(values.device)
        return (torch.clamp(values, low, high) - self._middle) / self._half

    def in_units(self, unit: torch.Tensor) -> torch.Tensor:
        """Actions in the environment's units, within its bounds."""
        assert self.low is not None and self.high is not None
        return torch.clamp(self._middle + unit * self._half, self.low, self.high)

    def likeness(self, student: torch.Tensor, teacher: torch.Tensor) -> Likeness:
        """How alike the actions are that these outputs stand for."""
        if not self.discrete:
            difference = self.unit(student) - self.unit(teacher)
            return Likeness(float(difference.square().mean().sqrt()))
        same = (student.argmax(1) == teacher.argmax(1)).double()
        agreement = float(same.mean())
        if teacher.shape[1] < 2:
            return Likeness(1.0 - agreement, agreement)
        best = teacher.topk(2).values.double()
        lead = best[:, 0] - best[:, 1] + _SMALLEST
        return Likeness(1.0 - agreement, agreement, float((same * lead).sum() / lead.sum()))

    def _difference(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        if self.head == "squash":
            return torch.tanh(student) - torch.tanh(teacher)
        assert self.low is not None and self.high is not None
        low, high = self.low.to(student.device), self.high.to(student.device)
        # A teacher beyond a bound asks for no more than being beyond it as well, and a student
        # beyond one is still pulled back: clipping both would leave it without a gradient.
        beyond = ((teacher >= high) & (student >= high)) | ((teacher <= low) & (student <= low))
        target = torch.clamp(teacher, low, high)
        return torch.where(beyond, torch.zeros_like(student), student - target) / self._half

    @property
    def _half(self) -> torch.Tensor:
        assert self.low is not None and self.high is not None
        half = (self.high - self.low) / 2
        return torch.where(torch.isfinite(half) & (half > 0), half, torch.ones_like(half))

    @property
    def _middle(self) -> torch.Tensor:
        assert self.low is not None and self.high is not None
        middle = (self.high + self.low) / 2
        return torch.where(torch.isfinite(middle), middle, torch.zeros_like(middle))
