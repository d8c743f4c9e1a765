"""The network that becomes small: its masks, its optimizer, how it is pruned and quantised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from rlcompress.compress.source import read_model
from rlcompress.compress.teacher import Teacher
from rlcompress.pruning import LayerReport, MaskSet, check_feasible
from rlcompress.pruning.allocation import (
    ALLOCATIONS,
    DATA_DEPENDENT,
    DEAD,
    keep_top,
    kept_total,
)
from rlcompress.pruning.registry import lookup
from rlcompress.quantization import state as quantisation_state
from rlcompress.quantization.prepare import calibrate_
from rlcompress.sb3.actors import Actor, actor_of
from rlcompress.sb3.pruning_callback import UNUSED
from rlcompress.sb3.quantise import make_quantised_
from rlcompress.spec import PruneSpec, QuantSpec


class Student:
    """A copy of the teacher's model, of which only the actor's layers are trained.

    Pruned weights stay zero through masks on the optimizer. After ``quantise_`` the actor computes
    with rounded numbers while the same parameters are trained.
    """

    def __init__(self, teacher: Teacher, learning_rate: float) -> None:
        self.model: BaseAlgorithm = read_model(teacher.path, str(teacher.model.device))
        self.model.policy.requires_grad_(False)
        self.model.policy.set_training_mode(False)
        self.actor: Actor = actor_of(self.model)
        self._parameters = [p for layer in self.actor.layers.values() for p in layer.parameters()]
        for parameter in self._parameters:
            parameter.requires_grad_(True)
        self.optimizer = torch.optim.Adam(self._parameters, lr=learning_rate, fused=True)
        self.masks = MaskSet(self._weights())
        self.masks.attach(self.optimizer)
        self.quantised = False

    def prune_(self, sparsity: float, scores: Mapping[str, torch.Tensor], allocation: str) -> None:
        """Prune to ``sparsity``, the lowest scores first; pruned weights never come back."""
        budget = kept_total(sparsity, self.masks.total)
        if budget >= sum(self.masks.kept.values()):
            return
        alive = {n: s.masked_fill(~self.masks.masks[n], DEAD) for n, s in scores.items()}
        counts = lookup(ALLOCATIONS, allocation, "allocation")(alive, budget)
        # A layer without weights makes the policy a constant, whatever the scores say.
        counts = _none_empty(counts)
        self.masks.update({name: keep_top(alive[name], kept) for name, kept in counts.items()})

    def quantise_(self, spec: QuantSpec, prepared: torch.Tensor) -> None:
        """Compute in fake-quantised numbers from now on, ranges taken from ``prepared``."""
        make_quantised_(self.model, spec)
        self.actor = actor_of(self.model)
        calibrate_(self.actor, prepared)
        self.quantised = True

    def step_(self, loss: torch.Tensor, learning_rate: float) -> None:
        """One step of the optimizer down the gradient of ``loss``."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def training(self, on: bool) -> None:
        """Let ranges of activations follow the network, or not."""
        self.actor.root.train(on)

    def report(self) -> tuple[LayerReport, ...]:
        """One row per layer, and those that inference never reads."""
        rows = [
            LayerReport(name, mask.numel(), self.masks.kept[name], _biases(self.actor.layers[name]))
            for name, mask in self.masks.masks.items()
        ]
        for name, layer in self.actor.unused.items():
            size = _weight(layer).numel()
            rows.append(LayerReport(name, size, size, _biases(layer), UNUSED))
        return tuple(rows)

    def state_dict(self) -> dict[str, Any]:
        """Everything that going on needs; tensors are copies."""
        spec = quantisation_state.spec_of(self.actor.root)
        quantisers = quantisation_state.state_dict(self.actor.root) if self.quantised else None
        return {
            "parameters": [p.detach().cpu().clone() for p in self._parameters],
            "masks": self.masks.state_dict(),
            "optimizer": _copied(self.optimizer.state_dict()),
            "quantisation": None if quantisers is None else (spec, quantisers),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state_dict()``; self must be fresh."""
        with torch.no_grad():
            for parameter, saved in zip(self._parameters, state["parameters"], strict=True):
                parameter.copy_(saved)
        self.optimizer.load_state_dict(_copied(state["optimizer"]))
        self.masks.load_state_dict(state["masks"])
        if state["quantisation"] is not None:
            spec, quantisers = state["quantisation"]
            make_quantised_(self.model, spec)
            self.actor = actor_of(self.model)
            quantisation_state.load_state_dict_(self.actor.root, quantisers)
            self.quantised = True

    def _weights(self) -> dict[str, nn.Parameter]:
        return {name: _weight(layer) for name, layer in self.actor.layers.items()}


def check_sparsity(teacher: Teacher, sparsity: float, allocation: str) -> None:
    """Raise ValueError where the teacher cannot be pruned so."""
    lookup(ALLOCATIONS, allocation, "allocation")
    # What depends on scores is not known yet; no layer is left empty then (see ``prune_``).
    if allocation not in DATA_DEPENDENT:
        check_feasible(PruneSpec(sparsity, allocation=allocation), teacher.actor.layers)


def _none_empty(counts: dict[str, int]) -> dict[str, int]:
    """At least one weight per layer, taken from the layer that has most."""
    for name, kept in counts.items():
        if kept == 0:
            largest = max(counts, key=lambda other: counts[other])
            if counts[largest] > 1:
                counts[name], counts[largest] = 1, counts[largest] - 1
    return counts


def _copied(tree: Any) -> Any:
    if isinstance(tree, torch.Tensor):
        return tree.detach().cpu().clone()
    if isinstance(tree, dict):
        return {key: _copied(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_copied(value) for value in tree]
    return tree


def _weight(layer: nn.Module) -> nn.Parameter:
    weight = layer.weight
    assert isinstance(weight, nn.Parameter)
    return weight


def _biases(layer: nn.Module) -> int:
    bias = getattr(layer, "bias", None)
    return bias.numel() if isinstance(bias, torch.Tensor) else 0
