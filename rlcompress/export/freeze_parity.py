"""Measures how far a compressed policy is from the fake-quantised torch actor that it came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn

from rlcompress.artifact import Activation, Add, AnyArray, CompressedPolicy, Linear, Op, TensorType
from rlcompress.export.freeze import trace_model
from rlcompress.export.freeze_ops import lower
from rlcompress.quantization.graph import Node
from rlcompress.runtime.numerics import act, activate, storage
from rlcompress.runtime.operations import compile_op
from rlcompress.runtime.reference import Reference
from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.observations import as_prepared, as_seen

HALF_WIDTH = 1e-4
"""A value this close to the middle between two integers may be rounded either way."""

SUM_ERROR = 2.0**-22
"""So far may torch's float32 sum be from the exact one, as a share of the sum of magnitudes."""

LARGEST_SHARE = 1e-4
"""The largest share of activations that may be rounded the other way."""

_BLOCK = 64


@dataclass(frozen=True)
class Parity:
    """What a comparison on one stream of observations found.

    Attributes:
        observations: how many were compared.
        activations: how many quantised activations were compared, each op on torch's own inputs.
        ties: of them, those rounded the other way with a value within ``HALF_WIDTH`` of a half (or
            within what float32 can tell of a sum of that many and that large terms).
        violations: those that differ by more than that explains.
        touched: observations with a tie or violation anywhere on the way.
        largest_output_difference: of raw outputs, where no activation differs (relative to the
            largest output where that is above 1).
        largest_touched_difference: the same where some activation differs.
        largest_action_difference: of all actions, in the action space's units; None if discrete.
        discrete_differences: observations with another discrete action; None if continuous.
        discrete_violations: of them, those whose two best actions are further apart than the
            tolerance although no activation differs.
        tolerance: for raw outputs.
    """

    observations: int
    activations: int
    ties: int
    violations: int
    touched: int
    largest_output_difference: float
    largest_touched_difference: float
    largest_action_difference: float | None
    discrete_differences: int | None
    discrete_violations: int | None
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the policy computes what the actor computes, as closely as float32 allows."""
        return (
            self.violations == 0
            and self.ties <= max(1.0, LARGEST_SHARE * self.activations)
            and self.largest_output_difference <= self.tolerance
            and not self.discrete_violations
        )


def parity(
    model: BaseAlgorithm,
    policy: CompressedPolicy,
    observations: NDArray[Any],
    *,
    vec_normalize: VecNormalize | None = None,
    tolerance: float = 1e-4,
) -> Parity:
    """Compare ``policy`` with the actor of ``model``, from which it was frozen.

    Activations are compared op by op, each computed from the inputs that torch computed, so that
    one value rounded the other way is one difference and not all that follow from it. Raw outputs
    and actions are those of whole networks. ``observations`` are a batch as the environment gives
    them.
    """
    comparison = _Comparison(model, policy, vec_normalize or model.get_vec_normalize_env())
    for start in range(0, len(observations), _BLOCK):
        comparison.add(observations[start : start + _BLOCK])
    return comparison.result(tolerance)


class _Comparison:
    def __init__(
        self, model: BaseAlgorithm, policy: CompressedPolicy, vec_normalize: VecNormalize | None
    ) -> None:
        self._model, self._vec_normalize = model, vec_normalize
        self._policy, self._reference = policy, Reference(policy)
        self._nodes = trace_model(model)
        # Dead units are still there, as they are in torch.
        self._ops = lower(self._nodes, policy.observation.value)
        self._types = [policy.observation.value, *(lowered.op.output for lowered in self._ops)]
        self._activations = self._ties = self._violations = 0
        self._blocks: list[tuple[AnyArray, ...]] = []

    def add(self, raw: NDArray[Any]) -> None:
        """Compare one block of observations."""
        seen = as_seen(self._model, raw, self._vec_normalize)
        values = _torch_values(self._model, self._nodes, as_prepared(self._model, seen))
        held = self._held(values)
        touched = np.zeros(len(raw), bool)
        for lowered, theirs in zip(self._ops, held[1:], strict=True):
            if lowered.op.output.kind != "float":
                touched |= self._compare(lowered.op, held, theirs)
        outputs = values[self._nodes[-1].output].reshape(len(raw), -1)
        actions, _ = self._model.policy.predict(seen, deterministic=True)
        self._blocks.append((outputs, self._reference.forward(raw), actions, touched))

    def _held(self, values: dict[int, AnyArray]) -> list[AnyArray]:
        """Torch's values as the policy holds them: in its layout, in integers where quantised."""
        first = values[0].transpose(0, 2, 3, 1) if values[0].ndim == 4 else values[0]
        batches = [first.reshape(len(first), *self._types[0].shape)]
        batches += [lowered.in_layout(values[lowered.node.output]) for lowered in self._ops]
        return [
            batch if kind.kind == "float" else np.rint(batch / kind.scale).astype(storage(kind))
            for batch, kind in zip(batches, self._types, strict=True)
        ]

    def _compare(self, op: Op, held: list[AnyArray], theirs: AnyArray) -> AnyArray:
        """Count the differences of one op; returns which observations have one."""
        inputs, types = [held[i] for i in op.inputs], [self._types[i] for i in op.inputs]
        differs = compile_op(op, types)(*inputs) != theirs
        self._activations += theirs.size
        rows: AnyArray = differs.reshape(len(theirs), -1).any(axis=1)
        if rows.any():
            steps = before_rounding(op, types, [x[rows] for x in inputs])
            # A value near the middle may go to either side of it, and nowhere else.
            width = tie_width(op, types, [x[rows] for x in inputs])
            tie = np.abs(steps - np.floor(steps) - 0.5) <= width
            near = np.abs(theirs[rows] - steps) < 1.0
            explained = int((differs[rows] & tie & near).sum())
            self._ties += explained
            self._violations += int(differs.sum()) - explained
        return rows

    def result(self, tolerance: float) -> Parity:
        """The sums over all blocks."""
        theirs, ours, their_actions, touched = (
            np.concatenate(part) for part in zip(*self._blocks, strict=True)
        )
        size = np.maximum(1.0, np.abs(theirs).max(axis=1))
        gaps = np.abs(ours - theirs).max(axis=1) / size
        action = self._policy.action
        actions = act(action, ours)
        difference = differences = wrong = None
        if action.kind == "argmax":
            other = actions != their_actions
            clear = _lead(theirs, action.quantiles) > tolerance * size
            differences, wrong = int(other.sum()), int((other & clear & ~touched).sum())
        else:
            difference = float(np.abs(actions - their_actions).max())
        return Parity(
            observations=len(theirs),
            activations=self._activations,
            ties=self._ties,
            violations=self._violations,
            touched=int(touched.sum()),
            largest_output_difference=float(gaps[~touched].max(initial=0.0)),
            largest_touched_difference=float(gaps[touched].max(initial=0.0)),
            largest_action_difference=difference,
            discrete_differences=differences,
            discrete_violations=wrong,
            tolerance=tolerance,
        )


def before_rounding(op: Op, types: list[TensorType], inputs: list[AnyArray]) -> AnyArray:
    """What ``op`` rounds to get its quantised output, in steps of that output (clamped to it)."""
    low, high = op.output.limits
    real = TensorType(op.output.shape)
    if isinstance(op, Add):
        first, second = (
            x.astype(np.float64) * m for x, m in zip(inputs, op.multipliers, strict=True)
        )
        steps = first + second
    elif isinstance(op, Linear):
        result = compile_op(replace(op, output=real), types)(*inputs)
        straight = op.integer and op.function in ("none", "relu")
        steps = result.astype(np.float64) * (1.0 if straight else op.output.inverse_scale)
    else:
        assert isinstance(op, Activation), "nothing else rounds"
        source = inputs[0].astype(np.float32) * np.float32(types[0].scale)
        steps = activate(op.function, source, op.bound) * np.float64(op.output.inverse_scale)
    clamped: AnyArray = np.clip(steps, low, high)
    return clamped


def tie_width(op: Op, types: list[TensorType], inputs: list[AnyArray]) -> AnyArray:
    """How close to a half each output may be rounded either way, in steps of the output."""
    if not isinstance(op, Linear):
        return np.asarray(HALF_WIDTH)
    magnitudes = replace(
        op,
        weight=np.abs(op.weight),
        bias=np.abs(op.bias),
        output=TensorType(op.output.shape),
        function="none",
    )
    total = compile_op(magnitudes, types)(np.abs(inputs[0])).astype(np.float64)
    straight = op.integer and op.function in ("none", "relu")
    steps = total * (1.0 if straight else op.output.inverse_scale)
    width: AnyArray = np.maximum(HALF_WIDTH, SUM_ERROR * steps)
    return width


def _torch_values(
    model: BaseAlgorithm, nodes: tuple[Node, ...], prepared: torch.Tensor
) -> dict[int, AnyArray]:
    """What each node returns for a batch, in torch's layout."""
    actor = actor_of(model)
    values: dict[int, AnyArray] = {0: prepared.cpu().numpy()}
    order = iter(nodes)

    def keep(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        values[next(order).output] = output.cpu().numpy()

    modules = {id(node.module): node.module for node in nodes}
    handles = [module.register_forward_hook(keep) for module in modules.values()]
    try:
        with torch.no_grad():
            actor.forward(prepared)
    finally:
        for handle in handles:
            handle.remove()
    return values


def _lead(outputs: AnyArray, quantiles: int) -> AnyArray:
    """By how much the best action leads."""
    best = np.sort(outputs.reshape(len(outputs), quantiles, -1).mean(axis=1), axis=1)
    if best.shape[1] == 1:
        return np.full(len(best), np.inf)
    lead: AnyArray = best[:, -1] - best[:, -2]
    return lead
