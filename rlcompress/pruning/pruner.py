"""Prunes named layers to a given sparsity and reports on them; knows no schedule, no algorithm."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from rlcompress.pruning.allocation import (
    ALLOCATIONS,
    DATA_DEPENDENT,
    DEAD,
    keep_top,
    kept_total,
)
from rlcompress.pruning.criteria import CRITERIA
from rlcompress.pruning.masks import MaskSet
from rlcompress.pruning.registry import lookup, nearest
from rlcompress.spec import PruneSpec

SKIPPED = "skipped as asked"


@dataclass(frozen=True)
class LayerReport:
    """One layer: its weights, how many are kept, its biases, and why it is excluded ("" if not)."""

    layer: str
    weights: int
    kept: int
    biases: int
    excluded: str = ""

    @property
    def sparsity(self) -> float:
        """Fraction of zeros that masks hold."""
        return 1.0 - self.kept / self.weights


class Pruner:
    """Masks of the layers of one network, and the randomness that chose them.

    ``twins`` are layers of a target network, by the same names. ``excluded`` are layers that stay
    dense and uncounted, with the reason, for the report. Layers in ``spec.skip`` join them.
    """

    def __init__(
        self,
        spec: PruneSpec,
        layers: Mapping[str, nn.Module],
        *,
        twins: Mapping[str, nn.Module] | None = None,
        excluded: Mapping[str, tuple[nn.Module, str]] | None = None,
        seed: int = 0,
    ) -> None:
        excluded = dict(excluded or {})
        self.spec = spec
        self._layers = _pruned_layers(spec, layers, excluded)
        skipped = {name: (layers[name], SKIPPED) for name in spec.skip if name in layers}
        self._excluded = {**excluded, **skipped}
        self._criterion = lookup(CRITERIA, spec.criterion, "criterion")
        self._allocation = lookup(ALLOCATIONS, spec.allocation, "allocation")
        self._generator = torch.Generator().manual_seed(seed)
        self._weights = {name: _weight(layer) for name, layer in self._layers.items()}
        twins = {name: layer for name, layer in (twins or {}).items() if name in self._layers}
        self.masks = MaskSet(
            self._weights, twins={name: _weight(layer) for name, layer in twins.items()}
        )

    @property
    def weights(self) -> Mapping[str, nn.Parameter]:
        """The pruned layers' weights."""
        return self._weights

    def update_(self, sparsity: float) -> None:
        """Prune to ``sparsity``; nothing happens where at least as much is pruned already."""
        budget = kept_total(sparsity, self.masks.total)
        if budget >= sum(self.masks.kept.values()):
            return
        scores = self._scores()
        counts = self._allocation(scores, budget)
        self._warn_of_empty_layers(counts)
        self.masks.update({name: keep_top(scores[name], kept) for name, kept in counts.items()})

    def plan(self) -> dict[str, int]:
        """Weights each layer keeps at the final sparsity, judged by the weights as they are now."""
        budget = kept_total(self.spec.sparsity, self.masks.total)
        if budget >= sum(self.masks.kept.values()):
            return dict(self.masks.kept)
        # With a generator of its own: looking ahead must not change what is drawn later.
        generator = torch.Generator().manual_seed(self._generator.initial_seed())
        scores = self._scores(generator)
        return self._allocation(scores, budget)

    def report(self) -> tuple[LayerReport, ...]:
        """One row per layer, pruned ones first."""
        rows = [
            LayerReport(name, weight.numel(), self.masks.kept[name], _biases(self._layers[name]))
            for name, weight in self._weights.items()
        ]
        for name, (layer, reason) in self._excluded.items():
            size = _weight(layer).numel()
            rows.append(LayerReport(name, size, size, _biases(layer), reason))
        return tuple(rows)

    def state_dict(self) -> dict[str, Any]:
        """Masks and the state of the generator."""
        return {"masks": self.masks.state_dict(), "generator": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on as the pruner that ``state`` came from would have, and apply its masks."""
        self.masks.load_state_dict(state["masks"])
        self._generator.set_state(state["generator"])

    @torch.no_grad()
    def _scores(self, generator: torch.Generator | None = None) -> dict[str, torch.Tensor]:
        scores = {}
        for name, weight in self._weights.items():
            score = self._criterion(weight.detach(), weight.grad, generator or self._generator)
            if score.shape != weight.shape or not bool(score.isfinite().all()):
                raise ValueError(
                    f"criterion {self.spec.criterion!r} must give a finite score per weight, but "
                    f"did not for layer {name!r} (have its weights become infinite or NaN?)"
                )
            scores[name] = score.masked_fill(~self.masks.masks[name], DEAD)
        return scores

    def _warn_of_empty_layers(self, counts: Mapping[str, int]) -> None:
        for name, kept in counts.items():
            if kept == 0 and self.masks.kept[name] > 0:
                warnings.warn(
                    f"layer {name!r} has lost all its weights; its output is constant from now on",
                    stacklevel=3,
                )


def check_feasible(
    spec: PruneSpec,
    layers: Mapping[str, nn.Module],
    *,
    excluded: Mapping[str, tuple[nn.Module, str]] | None = None,
) -> dict[str, int]:
    """Weights each layer will keep in the end; to be called before training.

    ``layers`` and ``excluded`` as ``Pruner`` takes them. What ``global`` will keep depends on the
    trained weights, so an empty layer is only a warning.

    Raises:
        ValueError: where the request cannot be met or would leave a layer without weights.
    """
    initial = spec.schedule.initial
    if initial > spec.sparsity:
        raise ValueError(
            f"initial sparsity {initial} is above the final sparsity {spec.sparsity}; "
            "pruned weights never come back"
        )
    plan = Pruner(spec, layers, excluded=excluded).plan()
    asked = f"sparsity {spec.sparsity} with allocation {spec.allocation!r}"
    empty = [name for name, kept in plan.items() if kept == 0]
    if empty and spec.allocation in DATA_DEPENDENT:
        warnings.warn(
            f"{asked} would leave no weight in {', '.join(empty)} if it were reached now; "
            "allocation 'erdos_renyi' divides by shape instead",
            stacklevel=2,
        )
    elif empty:
        raise ValueError(
            f"{asked} would leave no weight in {', '.join(empty)}; lower the sparsity or skip "
            "these layers"
        )
    return plan


def format_report(rows: Sequence[LayerReport]) -> str:
    """The rows as a table with a total, and the sparsity with what is excluded counted in."""
    width = max(len("layer"), *(len(row.layer) for row in rows))
    lines = [f"{'layer':<{width}} {'weights':>9} {'kept':>9} {'sparsity':>8} {'biases':>7}"]
    pruned = [row for row in rows if not row.excluded]
    for row in rows:
        shown = f"{row.sparsity:8.4f}" if not row.excluded else f"{'dense':>8}"
        line = f"{row.layer:<{width}} {row.weights:>9} {row.kept:>9} {shown} {row.biases:>7}"
        lines.append(f"{line}  {row.excluded}".rstrip())
    weights, kept, sparsity = _total(pruned)
    biases = sum(row.biases for row in pruned)
    lines.append(f"{'total':<{width}} {weights:>9} {kept:>9} {sparsity:8.4f} {biases:>7}")
    lines.append("Biases stay dense and are not counted.")
    if len(pruned) < len(rows):
        lines.append(f"Sparsity with excluded layers counted: {_total(rows)[2]:.4f}.")
    return "\n".join(lines)


def _total(rows: Sequence[LayerReport]) -> tuple[int, int, float]:
    weights = sum(row.weights for row in rows)
    kept = sum(row.kept for row in rows)
    return weights, kept, 1.0 - kept / weights if weights else 0.0


def _pruned_layers(
    spec: PruneSpec, layers: Mapping[str, nn.Module], excluded: Collection[str]
) -> dict[str, nn.Module]:
    for name in spec.skip:
        if name not in layers and name not in excluded:
            raise ValueError(f"skip names an unknown layer {name!r}{nearest(name, layers)}")
    chosen = {name: layer for name, layer in layers.items() if name not in spec.skip}
    if not chosen and spec.sparsity > 0.0:
        raise ValueError("no layer is left to prune; skip fewer layers or ask for sparsity 0")
    return chosen


def _weight(layer: nn.Module) -> nn.Parameter:
    return cast(nn.Parameter, layer.weight)


def _biases(layer: nn.Module) -> int:
    bias = getattr(layer, "bias", None)
    return bias.numel() if isinstance(bias, torch.Tensor) else 0
