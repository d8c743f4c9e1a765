"""What the update of every algorithm has in common: its tensors, by name; computes nothing itself.

An update is a pure function of ``Inputs`` that changes weights, moments and targets in place and
returns losses. ``Update`` says which tensors of an SB3 model these are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from torch import nn

from rlcompress.fast.networks import (
    Unsupported,
    Weights,
    check,
    check_unwatched,
    quantizers_read,
)
from rlcompress.fast.optimizer import Block
from rlcompress.quantization.quantizer import ActivationQuantizer
from rlcompress.quantization.state import quantizers_of
from rlcompress.sb3.actors import Actor, actor_of

Tree = dict[str, Any]
"""Nested dictionaries and lists of tensors."""


@dataclass(frozen=True)
class Batch:
    """What the replay buffer gave, and the noise of this update."""

    observations: torch.Tensor
    actions: torch.Tensor
    next_observations: torch.Tensor
    rewards: torch.Tensor
    dones: torch.Tensor
    discounts: torch.Tensor | float
    noise: list[torch.Tensor] = field(default_factory=list)

    @classmethod
    def of(cls, samples: ReplayBufferSamples, gamma: float, noise: list[torch.Tensor]) -> Batch:
        """From SB3's samples, which may carry discounts of their own (n-step returns)."""
        discounts = getattr(samples, "discounts", None)
        return cls(
            samples.observations,
            samples.actions,
            samples.next_observations,
            samples.rewards,
            samples.dones,
            gamma if discounts is None else discounts,
            noise,
        )


@dataclass
class Inputs:
    """Everything that a step reads or writes, beside the constants of its algorithm."""

    batch: Batch
    blocks: Tree
    targets: dict[str, list[torch.Tensor]]
    grids: torch.Tensor
    numbers: torch.Tensor
    """Step size and correction of each block, one row each, in the blocks' order."""


@dataclass(frozen=True)
class Result:
    """Losses by SB3's names, one tensor, and the actor's gradients where they are kept."""

    losses: torch.Tensor
    gradients: list[torch.Tensor] = field(default_factory=list)


class Update(ABC):
    """The update of one model: which tensors it takes part in, and the step itself."""

    losses: tuple[str, ...]
    """Names under which SB3 logs what ``step`` returns, in its order."""

    def __init__(self, model: BaseAlgorithm, *, keep_gradients: bool) -> None:
        self.model: Any = model
        self.keep_gradients = keep_gradients
        self.actor: Actor = actor_of(model)
        self.blocks: dict[str, Block] = {}
        self.targets: dict[str, list[nn.Parameter]] = {}
        self.quantizers: list[ActivationQuantizer] = []
        self.observers = list(quantizers_of(self.actor.root).values())

    @abstractmethod
    def step(self, inputs: Inputs, variant: str) -> Result:
        """Compute one update; pure but for the tensors in ``inputs``."""

    @abstractmethod
    def noise(self, samples: ReplayBufferSamples) -> list[torch.Tensor]:
        """Random numbers of one update, drawn as SB3 draws them."""

    def variant(self) -> str:
        """Which of an algorithm's steps the next one is."""
        return "all"

    def observes(self, variant: str) -> bool:
        """Whether the variant runs the actor where ranges may follow it."""
        return True

    def rows(self, variant: str) -> list[str]:
        """The blocks that the variant steps."""
        return list(self.blocks)

    def logged(self, variant: str) -> tuple[str, ...]:
        """Names of what the variant's step returns."""
        return self.losses

    def acting_block(self) -> Block:
        """The block of the actor."""
        return self.blocks["actor"]

    def weights(self, inputs: Inputs, block: str, source: Sequence[torch.Tensor]) -> Weights:
        """``source`` in place of a block's parameters."""
        parameters = self.blocks[block].parameters
        tensors = {id(p): t for p, t in zip(parameters, source, strict=True)}
        return Weights(tensors, self._grids(inputs))

    def target(self, inputs: Inputs, name: str) -> Weights:
        """The target network of that name."""
        pairs = zip(self.targets[name], inputs.targets[name], strict=True)
        return Weights({id(p): t for p, t in pairs}, self._grids(inputs))

    def _grids(self, inputs: Inputs) -> dict[int, torch.Tensor]:
        return {id(q): inputs.grids[i] for i, q in enumerate(self.quantizers)}

    def _check(self, *networks: nn.Module) -> None:
        for network in networks:
            check_unwatched(network, f"its {type(network).__name__}")
            for child in network.children():
                check(child)
        found = {id(q): q for network in networks for q in quantizers_read(network)}
        self.quantizers = list(found.values())


def leaves(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """The same numbers as new starting points of gradients."""
    return [tensor.detach().requires_grad_() for tensor in tensors]


def smallest(values: Sequence[torch.Tensor]) -> torch.Tensor:
    """The smallest of several critics' values, row by row; the gradient goes to that one."""
    least = values[0]
    for value in values[1:]:
        least = torch.where(value < least, value, least)
    return least


def follow_(targets: Sequence[torch.Tensor], sources: Sequence[torch.Tensor], tau: float) -> None:
    """Move targets a step of ``tau`` towards their sources, as SB3 does."""
    for target, source in zip(targets, sources, strict=True):
        target.mul_(1.0 - tau).add_(source, alpha=tau)


def paired(online: nn.Module, target: nn.Module, block: Block) -> list[nn.Parameter]:
    """The target's parameters in the order of the block that trains the online network's."""
    pairs = {id(p): t for p, t in zip(online.parameters(), target.parameters(), strict=True)}
    if set(pairs) != {id(p) for p in block.parameters}:
        raise Unsupported("its target network has parts that no optimizer trains")
    return [pairs[id(p)] for p in block.parameters]


def check_plain(network: nn.Module) -> None:
    """Raise Unsupported where training mode matters (batch norm, dropout) or state is kept."""
    if any(True for _ in network.buffers()):
        raise Unsupported("its networks have buffers (batch norm?)")
