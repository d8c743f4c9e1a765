"""Adam as a pure function, on the very state of SB3's optimizers; owns no state of its own.

What ``torch.optim.Adam`` keeps stays where it keeps it, so that zips, checkpoints and a step taken
by SB3 itself all see one optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from rlcompress.fast.networks import Unsupported
from rlcompress.pruning.masks import MaskSet, masks_on


@dataclass(frozen=True)
class Adam:
    """The constants of one optimizer."""

    beta1: float
    beta2: float
    eps: float
    weight_decay: float


@dataclass
class Block:
    """Parameters that one optimizer trains, as tensors that share their memory.

    ``factors`` are the masks of pruned weights by position, as numbers.
    """

    optimizer: torch.optim.Optimizer
    parameters: list[nn.Parameter]
    adam: Adam
    weights: list[torch.Tensor] = field(default_factory=list)
    first: list[torch.Tensor] = field(default_factory=list)
    second: list[torch.Tensor] = field(default_factory=list)
    factors: dict[int, torch.Tensor] = field(default_factory=dict)
    _steps: torch.Tensor = field(default_factory=lambda: torch.zeros(0))
    _masks: dict[int, torch.Tensor] = field(default_factory=dict)
    _numbers: list[torch.Tensor] = field(default_factory=list)

    def adopt_(self) -> bool:
        """Take the optimizer's and the masks' tensors as they are now; returns whether any moved.

        Optimizers replace their state when it is loaded, masks are replaced when they change.
        """
        moved = False
        if not self._holds():
            self._take()
            moved = True
        masks = _masks_by_position(self)
        if masks.keys() != self._masks.keys() or any(
            mask is not self._masks[i] for i, mask in masks.items()
        ):
            self.factors = {i: mask.to(self.weights[i].dtype) for i, mask in masks.items()}
            self._masks = masks
            moved = True
        return moved

    def advance_(self) -> tuple[float, float]:
        """Count a step; returns its size and the root of the second moment's correction."""
        self._steps.add_(1.0)
        step = float(self._steps[0])
        rate = float(self.optimizer.param_groups[0]["lr"])
        size = rate / (1.0 - self.adam.beta1**step)
        return size, (1.0 - self.adam.beta2**step) ** 0.5

    def taken(self) -> float:
        """How many steps the optimizer has taken.

        Raises:
            Unsupported: more with some parameters than with others.
        """
        states = [self.optimizer.state.get(parameter) for parameter in self.parameters]
        found = {float(state["step"]) if state else 0.0 for state in states}
        if len(found) > 1:
            raise Unsupported("its optimizer has stepped some parameters more often than others")
        return found.pop()

    def _holds(self) -> bool:
        if not self.weights:
            return False
        for i, parameter in enumerate(self.parameters):
            state = self.optimizer.state.get(parameter)
            if not state or state["exp_avg"] is not self.first[i]:
                return False
            if state["step"] is not self._numbers[i]:
                return False
            if self.weights[i].data_ptr() != parameter.data_ptr():
                return False
        return True

    def _take(self) -> None:
        states = [self.optimizer.state[parameter] for parameter in self.parameters]
        # One number per parameter, as Adam keeps them, but counted together.
        self._steps = torch.full((len(states),), self.taken(), dtype=torch.float32)
        for i, (parameter, state) in enumerate(zip(self.parameters, states, strict=True)):
            for name in ("exp_avg", "exp_avg_sq"):
                if name not in state:
                    state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            state["step"] = self._steps[i]
        self._numbers = [state["step"] for state in states]
        self.weights = [parameter.detach() for parameter in self.parameters]
        self.first = [state["exp_avg"] for state in states]
        self.second = [state["exp_avg_sq"] for state in states]


def block_of(optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter]) -> Block:
    """The block of an optimizer.

    Raises:
        Unsupported: where it is another optimizer, has options of its own, or does something else
            beside its steps.
    """
    if type(optimizer) is not torch.optim.Adam or len(optimizer.param_groups) != 1:
        raise Unsupported(f"its optimizer is {type(optimizer).__name__} with groups of parameters")
    group = optimizer.param_groups[0]
    for name in ("amsgrad", "maximize", "capturable", "differentiable", "decoupled_weight_decay"):
        if group.get(name, False):
            raise Unsupported(f"its optimizer has {name}=True")
    if {id(p) for p in group["params"]} != {id(p) for p in parameters}:
        raise Unsupported("its optimizer trains other parameters than usual")
    if not all(p.requires_grad for p in parameters):
        raise Unsupported("some of its parameters are frozen (requires_grad=False)")
    if isinstance(group["lr"], torch.Tensor):
        raise Unsupported("its learning rate is a tensor")
    beta1, beta2 = (float(beta) for beta in group["betas"])
    adam = Adam(beta1, beta2, float(group["eps"]), float(group["weight_decay"]))
    block = Block(optimizer, list(group["params"]), adam)
    check_hooks(block)
    block.taken()
    return block


def check_hooks(block: Block) -> None:
    """Raise Unsupported where something but masks watches the optimizer's steps."""
    optimizer, known = block.optimizer, masks_on(block.optimizer)
    ours = 0 if known is None else 1
    if optimizer._optimizer_step_pre_hooks or len(optimizer._optimizer_step_post_hooks) > ours:
        raise Unsupported("its optimizer has hooks")


def adam_(
    block: Adam,
    tensors: Mapping[str, Sequence[torch.Tensor]],
    gradients: Sequence[torch.Tensor],
    numbers: torch.Tensor,
) -> None:
    """One step of Adam on ``weights``, ``first`` and ``second`` moments, in place.

    ``numbers`` are what ``Block.advance_`` gave.
    """
    size, root = numbers[0], numbers[1]
    rows = zip(tensors["weights"], tensors["first"], tensors["second"], gradients, strict=True)
    for weight, first, second, gradient in rows:
        if block.weight_decay != 0.0:
            gradient = torch.add(gradient, weight, alpha=block.weight_decay)
        first.lerp_(gradient, 1.0 - block.beta1)
        second.mul_(block.beta2).addcmul_(gradient, gradient, value=1.0 - block.beta2)
        weight.sub_(size * first / (second.sqrt() / root + block.eps))


def masked(
    gradients: Sequence[torch.Tensor], factors: Mapping[int, torch.Tensor]
) -> list[torch.Tensor]:
    """The gradients with zeros where weights are pruned; zero moments then stay zero."""
    return [g * factors[i] if i in factors else g for i, g in enumerate(gradients)]


def _masks_by_position(block: Block) -> dict[int, torch.Tensor]:
    found: MaskSet | None = masks_on(block.optimizer)
    if found is None:
        return {}
    masks = {id(found.weight(name)): mask for name, mask in found.masks.items()}
    return {i: masks[id(p)] for i, p in enumerate(block.parameters) if id(p) in masks}
