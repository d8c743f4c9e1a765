"""Removes units that cannot matter from a policy, exactly; owns no pruning and no rounding.

A unit is a channel of a value (of a vector: an element). Units that additions tie together (the
channels of a residual stream) form one class and stay or go together.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.records import Add, Flatten, Linear, Op, PolicyData
from rlcompress.export.constants import fold_constants

Labels = list[npt.NDArray[np.intp]]
"""For each value, the class of each of its channels."""
Flags = npt.NDArray[np.bool_]


def remove_dead_units(policy: CompressedPolicy) -> CompressedPolicy:
    """``policy`` without what no output depends on; its outputs are the same bit for bit.

    Constants are folded into their readers first where that is exact. Observation and outputs keep
    their shapes, and every layer keeps at least one unit. ``meta`` gains ``weights_kept`` (unless
    it is there) and ``weights_kept_after_removal``.
    """
    folded = replace(policy, ops=fold_constants(policy))
    labels = _classes(folded)
    live, needed = _needed(folded, labels)
    live = _with_one_per_value(live, labels)
    kept = [live[value] for value in labels]
    ops = tuple(
        _cut(op, needed[k], kept[k + 1], kept[op.inputs[0]]) for k, op in enumerate(folded.ops)
    )
    meta = {"weights_kept": _count(policy.ops), **policy.meta}
    meta["weights_kept_after_removal"] = _count(ops)
    return replace(policy, ops=ops, meta=meta)


def _count(ops: tuple[Op, ...]) -> int:
    return sum(int(np.count_nonzero(op.weight)) for op in ops if isinstance(op, Linear))


def _classes(policy: PolicyData) -> Labels:
    """Label the channels of every value so that those which must stay together share a label."""
    parents: list[int] = []

    def fresh(count: int) -> npt.NDArray[np.intp]:
        parents.extend(range(len(parents), len(parents) + count))
        return np.arange(len(parents) - count, len(parents))

    def root(label: int) -> int:
        while parents[label] != label:
            label = parents[label]
        return label

    labels = [fresh(policy.values[0].shape[-1])]
    for op in policy.ops:
        source = labels[op.inputs[0]]
        if isinstance(op, Linear):
            labels.append(fresh(len(op.weight)))
            continue
        if isinstance(op, Add):
            for a, b in zip(source, labels[op.inputs[1]], strict=True):
                parents[root(int(b))] = root(int(a))
        repeats = op.output.size // len(source) if isinstance(op, Flatten) else 1
        labels.append(np.tile(source, repeats))
    roots = np.array([root(label) for label in range(len(parents))])
    return [roots[value] for value in labels]


def _needed(policy: PolicyData, labels: Labels) -> tuple[Flags, list[Flags]]:
    """Which classes the outputs depend on, and for every op which of its channels they need.

    The two differ on a residual stream: a channel that only early readers use is alive, but what
    later writers add to it is not needed.
    """
    live: Flags = np.zeros(1 + max(int(value.max()) for value in labels), np.bool_)
    live[labels[0]] = live[labels[-1]] = True
    needed: list[Flags] = []
    for index, op in reversed(list(enumerate(policy.ops, 1))):
        needed.insert(0, live[labels[index]])
        if isinstance(op, Linear):
            weight = op.weight[needed[0]]
            read = (weight != 0).reshape(-1, weight.shape[-1]).any(axis=0)
            live[labels[op.inputs[0]][read]] = True
    return live, needed


def _with_one_per_value(live: Flags, labels: Labels) -> Flags:
    """``live`` and, where a value would be left empty, the class of its first channel."""
    kept: Flags = live.copy()
    for value in labels:
        if not kept[value].any():
            kept[value[0]] = True
    return kept


def _cut(op: Op, needed: Flags, written: Flags, read: Flags) -> Op:
    """``op`` with the channels that are kept of what it writes and of what it reads."""
    output = replace(op.output, shape=(*op.output.shape[:-1], int(written.sum())))
    if not isinstance(op, Linear):
        return replace(op, output=output)
    weight = op.weight[written][..., read]
    weight[~needed[written]] = 0  # Kept for the sake of the shape.
    multiplier = op.multiplier[written] if op.multiplier.size > 1 else op.multiplier
    return replace(op, output=output, weight=weight, multiplier=multiplier, bias=op.bias[written])
