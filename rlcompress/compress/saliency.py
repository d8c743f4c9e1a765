"""How much each weight matters for what the policy does: the diagonal of a Gauss-Newton matrix.

Taking weight w away changes the action by about w dy/dw, so that its worth is w^2 E[(dy/dw)^2]: the
saliency of Optimal Brain Damage, with the action in place of a loss (whose gradient vanishes where
a student still equals its teacher). The expectation is over observations and over random signs of
the action's entries. Magnitude alone takes a weight on a large input for as unimportant as one on
a small input, and a unit that nothing reads for as important as any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from rlcompress.compress.matching import Matching
from rlcompress.sb3.actors import Actor


class RunningSaliency:
    """Worth of every weight, where E[(dy/dw)^2] is remembered from one mask update to the next.

    A few dozen images say nothing about the many weights of a dense layer whose inputs they do not
    excite; those of many updates do. ``memory`` is the part of what was known that stays with each
    update, 0 for none: enough where every update sees thousands of observations.
    """

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self._known: dict[str, torch.Tensor] = {}
        self._amount = 0.0

    def update_(
        self, actor: Actor, matching: Matching, prepared: torch.Tensor, generator: torch.Generator
    ) -> None:
        """Learn from the observations of one update."""
        new = sensitivity(actor, matching, prepared, generator)
        self._amount = self._memory * self._amount + (1.0 - self._memory)
        for name, squares in new.items():
            known = self._known.get(name)
            old = torch.zeros_like(squares) if known is None else self._memory * known
            self._known[name] = old + (1.0 - self._memory) * squares

    def worth(self, actor: Actor) -> dict[str, torch.Tensor]:
        """Worth of the weights as they are now, by layer; never negative."""
        return {
            name: _weight(actor.layers[name]).square() * (squares / self._amount)
            for name, squares in self._known.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """What is known; empty without a memory."""
        known = {name: squares.cpu().clone() for name, squares in self._known.items()}
        return {"known": known if self._memory else {}, "amount": self._amount}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from ``state_dict()``."""
        self._known = {name: squares.to(device) for name, squares in state["known"].items()}
        self._amount = float(state["amount"])


def saliency(
    actor: Actor, matching: Matching, prepared: torch.Tensor, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Worth of every weight of the actor's layers on these observations alone."""
    found = RunningSaliency(0.0)
    found.update_(actor, matching, prepared, generator)
    return found.worth(actor)


def sensitivity(
    actor: Actor, matching: Matching, prepared: torch.Tensor, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """E[(dy/dw)^2] of every weight of the actor's layers, by name."""
    inputs: dict[str, torch.Tensor] = {}
    outputs: dict[str, torch.Tensor] = {}

    def watch(name: str) -> object:
        def hook(
            module: nn.Module, given: tuple[torch.Tensor], output: torch.Tensor
        ) -> torch.Tensor:
            inputs[name], outputs[name] = given[0].detach(), output
            # What follows may write into its input.
            return output.clone()

        return actor.layers[name].register_forward_hook(hook)

    handles = [watch(name) for name in actor.layers]
    try:
        effect = matching.effect(matching.values(actor.forward(prepared)))
    finally:
        for handle in handles:
            handle.remove()  # type: ignore[attr-defined]
    signs = torch.randint(0, 2, effect.shape, generator=generator).to(effect) * 2 - 1
    gradients = torch.autograd.grad((effect * signs).sum(), list(outputs.values()))
    with torch.no_grad():
        return {
            name: _mean_square(layer, inputs[name], gradient)
            for (name, layer), gradient in zip(_named(actor, outputs), gradients, strict=True)
        }


def _named(actor: Actor, outputs: Mapping[str, object]) -> list[tuple[str, nn.Module]]:
    return [(name, actor.layers[name]) for name in outputs]


def _weight(layer: nn.Module) -> torch.Tensor:
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    return weight.detach()


def _mean_square(layer: nn.Module, x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Mean over the batch of the squared gradient of each weight."""
    if isinstance(layer, nn.Linear):
        return gradient.square().t() @ x.square() / len(x)
    assert isinstance(layer, nn.Conv2d)
    total = torch.zeros_like(layer.weight)
    # One observation at a time: the gradients of all at once would fill the memory.
    for row, grad in zip(x, gradient, strict=True):
        columns = functional.unfold(
            row[None],
            layer.kernel_size,
            stride=layer.stride,
            padding=layer.padding if not isinstance(layer.padding, str) else 0,
        )[0]
        total += (grad.flatten(1) @ columns.t()).view_as(total).square_()
    return total / len(x)
