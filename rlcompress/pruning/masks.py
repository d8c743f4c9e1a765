"""The only owner of masks: keeps pruned weights at zero during training; never chooses them.

Masks live beside the parameters, in hooks, so that modules, parameter order and state dicts stay as
the host library knows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

_KEEP_ZERO = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop)
"""Optimizers that leave a weight and its state at zero where weight, gradient and state are zero.

Masking the gradient is then enough: zeroing weights and moments again after every step would slow
DQN's training by some percent. Others (Adamax, SB3's RMSpropTFLike) do not stay at zero. Who writes
into weights or gradients by hand between two steps has to call ``apply_``.
"""


class MaskSet:
    """Masks (True = keep) of named weights, and the hooks that enforce them.

    Between two ``update`` calls everything that holds one value per weight stays exactly zero where
    the mask is False: the weight and the optimizer's state, which a step may change, after every
    step; its gradient as it arrives, so that gradient clipping sees what is left of the network.
    ``twins`` (target networks) follow the weights by averaging or copying, which keeps zeros, and
    are therefore only zeroed when masks change.
    """

    def __init__(
        self,
        weights: Mapping[str, nn.Parameter],
        *,
        twins: Mapping[str, nn.Parameter] | None = None,
    ) -> None:
        self._weights = dict(weights)
        self._twins = dict(twins or {})
        self._masks = {
            name: torch.ones_like(weight, dtype=torch.bool) for name, weight in weights.items()
        }
        self._kept = {name: weight.numel() for name, weight in weights.items()}
        # The masks once more as factors, for layers that have lost something: multiplying by a
        # float mask is many times faster than filling by a boolean one.
        self._factors: dict[str, torch.Tensor] = {}
        self._clean: dict[str, list[torch.Tensor]] = {}
        self._optimizer: Optimizer | None = None
        self._functional = False
        self._hooks: list[RemovableHandle] = []

    @property
    def masks(self) -> Mapping[str, torch.Tensor]:
        """Boolean mask of each weight; not to be written to."""
        return self._masks

    @property
    def kept(self) -> Mapping[str, int]:
        """Weights kept in each layer."""
        return self._kept

    @property
    def total(self) -> int:
        """Weights in all layers, kept or not."""
        return sum(mask.numel() for mask in self._masks.values())

    @property
    def sparsity(self) -> float:
        """Fraction of zeros over all layers."""
        return 1.0 - sum(self._kept.values()) / self.total if self._kept else 0.0

    def update(self, masks: Mapping[str, torch.Tensor]) -> None:
        """Take new masks, which must only lose entries, and apply them at once."""
        for name, mask in masks.items():
            self._check(name, mask)
            if bool((mask & ~self._masks[name]).any()):
                raise ValueError(
                    f"mask of {name!r} brings back pruned weights; masks only lose them"
                )
        self._take(masks)

    @torch.no_grad()
    def apply_(self) -> None:
        """Zero what is pruned in weights, twins and the state of the attached optimizer."""
        for name in self._factors:
            pruned = ~self._masks[name]
            for tensor in self._tensors(name):
                # Filled, not multiplied: a negative number times zero is minus zero.
                tensor.masked_fill_(pruned.to(tensor.device), 0.0)

    def attach(self, optimizer: Optimizer, *, functional: bool = False) -> None:
        """Enforce the masks on every step of ``optimizer``, in place of any earlier one.

        ``functional`` says that gradients are taken by ``torch.autograd.grad`` (also of gradients)
        and never arrive in ``weight.grad``.
        """
        self.detach()
        self._optimizer = optimizer
        self._functional = functional
        self._hooks = [optimizer.register_step_post_hook(self._after_step)]
        for name, weight in self._weights.items():
            if weight.requires_grad:
                self._hooks.append(self._watch_gradient(name, weight, functional))
        self.apply_()

    def detach(self) -> None:
        """Remove all hooks; weights stay as they are and may grow again."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        self._clean = {}
        self._optimizer = None

    def holds(self, weights: Mapping[str, nn.Parameter], optimizer: Optimizer) -> bool:
        """Whether these very parameters are masked on steps of this very optimizer."""
        return (
            self._optimizer is optimizer
            and self._weights.keys() == weights.keys()
            and all(self._weights[name] is weight for name, weight in weights.items())
        )

    def weight(self, name: str) -> nn.Parameter:
        """The parameter that a mask is for."""
        return self._weights[name]

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Copies of the masks, on the CPU."""
        return {name: mask.cpu().clone() for name, mask in self._masks.items()}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take masks from ``state_dict()``, whatever the present ones are, and apply them."""
        if state.keys() != self._masks.keys():
            raise ValueError(
                f"masks are for layers {list(state)}, this actor has {list(self._masks)}"
            )
        for name, mask in state.items():
            self._check(name, mask)
        self._take(state)

    def _check(self, name: str, mask: torch.Tensor) -> None:
        if name not in self._masks:
            raise ValueError(f"no layer {name!r} is masked; layers are {list(self._masks)}")
        expected = self._masks[name].shape
        if mask.shape != expected or mask.dtype != torch.bool:
            raise ValueError(
                f"mask of {name!r} must be bool {tuple(expected)}, got {mask.dtype} "
                f"{tuple(mask.shape)}"
            )

    def _take(self, masks: Mapping[str, torch.Tensor]) -> None:
        for name, mask in masks.items():
            weight = self._weights[name]
            self._masks[name] = mask.to(weight.device, copy=True)
            self._kept[name] = int(mask.sum())
            self._factors.pop(name, None)
            self._clean.pop(name, None)
            if self._kept[name] < weight.numel():
                self._factors[name] = self._masks[name].to(weight.dtype)
        self.apply_()

    def _tensors(self, name: str) -> list[torch.Tensor]:
        """What has to be zero where ``name`` is pruned."""
        tensors: list[torch.Tensor] = [self._weights[name], *self._state(name)]
        if name in self._twins:
            tensors.append(self._twins[name])
        return tensors

    def _state(self, name: str) -> list[torch.Tensor]:
        """The optimizer's tensors with one value per weight, such as Adam's moments."""
        if self._optimizer is None:
            return []
        weight = self._weights[name]
        # Looked up each time: optimizers create their state late and replace it on load.
        state = self._optimizer.state.get(weight, {})
        return [
            value
            for value in state.values()
            if isinstance(value, torch.Tensor) and value.shape == weight.shape
        ]

    @torch.no_grad()
    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        tensors: list[torch.Tensor] = []
        factors: list[torch.Tensor] = []
        for name, factor in self._factors.items():
            state = self._state(name)
            if self._is_clean(name, state):
                continue
            self._clean[name] = state
            changed = [self._weights[name], *state]
            tensors += changed
            factors += [factor] * len(changed)
        if tensors:
            torch._foreach_mul_(tensors, factors)

    def _is_clean(self, name: str, state: Sequence[torch.Tensor]) -> bool:
        """Whether weight and state were zeroed before and no step can have changed that."""
        clean = self._clean.get(name)
        return (
            clean is not None
            and not self._functional
            and type(self._optimizer) in _KEEP_ZERO
            and len(clean) == len(state)
            and all(one is other for one, other in zip(clean, state, strict=True))
        )

    def _watch_gradient(self, name: str, weight: nn.Parameter, functional: bool) -> RemovableHandle:
        def mask(gradient: torch.Tensor) -> torch.Tensor | None:
            factor = self._factors.get(name)
            return None if factor is None else gradient * factor

        @torch.no_grad()
        def mask_accumulated(weight: torch.Tensor) -> None:
            factor = self._factors.get(name)
            if factor is not None and weight.grad is not None:
                weight.grad.mul_(factor)

        # The second is in place, which matters for large layers, but needs backward().
        untyped: Any = weight
        if functional:
            handle: RemovableHandle = untyped.register_hook(mask)
        else:
            handle = untyped.register_post_accumulate_grad_hook(mask_accumulated)
        return handle


def masks_on(optimizer: Optimizer) -> MaskSet | None:
    """The masks that are attached to ``optimizer``, for who steps in its place."""
    for hook in optimizer._optimizer_step_post_hooks.values():
        owner = getattr(hook, "__self__", None)
        if isinstance(owner, MaskSet):
            return owner
    return None
