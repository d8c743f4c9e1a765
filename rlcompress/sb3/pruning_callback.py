"""PruningCallback: when the actor of an SB3 model is pruned; how is left to rlcompress.pruning."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

from rlcompress.pruning.masks import MaskSet
from rlcompress.pruning.pruner import LayerReport, Pruner, check_feasible, format_report
from rlcompress.sb3.actors import Actor, actor_of
from rlcompress.spec import PruneSpec

UNUSED = "unused at inference"

_FILES_ONLY = ("stdout", "log")


class PruningCallback(BaseCallback):
    """Prune the actor of any supported SB3 model while it trains, by hooks on its optimizer.

    The schedule's fractions are of ``total_timesteps`` (T), counted in environment steps, whatever
    ``learn()`` is asked for. The hooks stay when ``learn()`` returns, so that pruned weights also
    remain zero in further training of the same model. SB3 drops them on ``load``: call ``reattach``
    with the loaded model, after ``load_state_dict`` where the callback is new as well.
    """

    def __init__(
        self, spec: PruneSpec, total_timesteps: int, *, seed: int = 0, verbose: int = 0
    ) -> None:
        super().__init__(verbose)
        if total_timesteps < 1:
            raise ValueError(f"total_timesteps must be positive, got {total_timesteps}")
        if spec.sparsity > 0.0:
            spec.schedule.check_length(total_timesteps)
        self.spec = spec
        self.total_timesteps = total_timesteps
        self.seed = seed
        self._updates = -1
        self._pruner: Pruner | None = None
        self._owner: BaseAlgorithm | None = None
        self._pending: Mapping[str, Any] | None = None

    @property
    def masks(self) -> MaskSet:
        """The masks of the attached model."""
        return self._attached().masks

    @property
    def sparsity(self) -> float:
        """Fraction of zeros among the weights that count."""
        return self.masks.sparsity

    def report(self) -> tuple[LayerReport, ...]:
        """What each layer keeps, and what is excluded and why."""
        return self._attached().report()

    def plan(self) -> tuple[LayerReport, ...]:
        """The report as it will be at the final sparsity, judged by the weights as they are now."""
        kept = self._attached().plan()
        return tuple(replace(row, kept=kept.get(row.layer, row.kept)) for row in self.report())

    def reattach(self, model: BaseAlgorithm) -> None:
        """Hand masks and hooks over to ``model``, after a load or wherever SB3 dropped them."""
        state = self._pending if self._pruner is None else self._pruner.state_dict()
        actor = actor_of(model)
        self._check_feasible(model, actor)
        pruner = self._make_pruner(actor)
        if state is not None:
            pruner.load_state_dict(state)
        if self._pruner is not None:
            self._pruner.masks.detach()
        if self.spec.sparsity > 0.0:
            pruner.masks.attach(actor.optimizer, functional=actor.functional)
        self._pruner, self._owner, self._pending = pruner, model, None

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs: masks, randomness and the updates already done."""
        pruner = self._pending if self._pruner is None else self._pruner.state_dict()
        return {
            "spec": asdict(self.spec),
            "total_timesteps": self.total_timesteps,
            "updates": self._updates,
            "pruner": pruner,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state_dict()`` of a callback with the same settings."""
        for name, mine in (("spec", asdict(self.spec)), ("total_timesteps", self.total_timesteps)):
            if state[name] != mine:
                raise ValueError(f"{name} was {state[name]} when the state was saved, now {mine}")
        self._updates = state["updates"]
        if self._pruner is None:
            self._pending = state["pruner"]
        elif state["pruner"] is not None:
            self._pruner.load_state_dict(state["pruner"])

    def _init_callback(self) -> None:
        if self._pruner is not None and self._owner is not self.model:
            raise ValueError(
                "this PruningCallback has masks for another model; call reattach(model) to go on "
                "with them, or make a new callback"
            )
        if self._pruner is None or not self._is_attached(self._pruner):
            self.reattach(self.model)
        if self.verbose >= 1:
            print(f"pruning plan\n{format_report(self.plan())}")

    def _on_training_start(self) -> None:
        self._update()

    def _on_step(self) -> bool:
        # Before DQN copies its network into the target and before the next gradient step.
        self._update()
        return True

    def _on_rollout_end(self) -> None:
        # Often enough for whichever step the algorithm writes its log at.
        if self.spec.sparsity == 0.0:
            return
        kept, masks = self.masks.kept, self.masks.masks
        progress = self.model.num_timesteps / self.total_timesteps
        scheduled = self.spec.schedule.sparsity_at(progress, self.spec.sparsity)
        self.logger.record("pruning/sparsity", self.sparsity)
        self.logger.record("pruning/scheduled_sparsity", scheduled)
        self.logger.record("pruning/kept_weights", sum(kept.values()))
        for name, mask in masks.items():
            # Layer names are longer than what the tables on the terminal can tell apart.
            sparsity = 1.0 - kept[name] / mask.numel()
            self.logger.record(f"pruning_layers/{name}", sparsity, exclude=_FILES_ONLY)

    def _on_training_end(self) -> None:
        updates = self.spec.schedule.updates
        if 0.0 < self.spec.sparsity and self._updates < updates:
            warnings.warn(
                f"pruning is not complete: {self._updates} of {updates} updates done, sparsity "
                f"{self.sparsity:.4f} of {self.spec.sparsity}; the last update is due at step "
                f"{self.spec.schedule.window(self.total_timesteps)[1]} and training ended at "
                f"{self.model.num_timesteps}",
                stacklevel=2,
            )
        if self.verbose >= 1:
            print(f"pruned\n{format_report(self.report())}")

    def _update(self) -> None:
        schedule = self.spec.schedule
        due = schedule.updates_due(self.model.num_timesteps, self.total_timesteps)
        if self.spec.sparsity == 0.0 or due <= self._updates:
            return
        self._attached().update_(
            schedule.sparsity_at(schedule.progress_of(due), self.spec.sparsity)
        )
        self._updates = due

    def _check_feasible(self, model: BaseAlgorithm, actor: Actor) -> None:
        if self.spec.sparsity > 0.0 and getattr(model, "use_sde", False):
            raise ValueError(
                "pruning while training with gSDE (use_sde=True) is unsupported: its exploration "
                "noise is made of the actor's features; train with use_sde=False"
            )
        check_feasible(self.spec, self._counted(actor), excluded=self._excluded(actor))

    def _make_pruner(self, actor: Actor) -> Pruner:
        layers = self._counted(actor)
        twins = {}
        if actor.twin is not None:
            twins = {name: actor.twin.get_submodule(name) for name in layers}
        return Pruner(
            self.spec, layers, twins=twins, excluded=self._excluded(actor), seed=self.seed
        )

    def _excluded(self, actor: Actor) -> dict[str, tuple[nn.Module, str]]:
        counted = self._counted(actor)
        return {name: (one, UNUSED) for name, one in actor.unused.items() if name not in counted}

    def _counted(self, actor: Actor) -> dict[str, nn.Module]:
        return {**actor.layers, **(actor.unused if self.spec.prune_unused else {})}

    def _is_attached(self, pruner: Pruner) -> bool:
        actor = actor_of(self.model)
        weights = self._make_pruner(actor).weights
        return self.spec.sparsity == 0.0 or pruner.masks.holds(weights, actor.optimizer)

    def _attached(self) -> Pruner:
        if self._pruner is None:
            raise ValueError("no model yet: pass this callback to learn() or call reattach(model)")
        return self._pruner
