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
    live = _live(folded, labels)
    kept = _with_one_per_value(live, labels)
    ops = tuple(_cut(op, k + 1, labels, live, kept) for k, op in enumerate(folded.ops))
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


def _live(policy: PolicyData, labels: Labels) -> Flags:
    """Which classes the outputs depend on (the observation's count as such)."""
    live: Flags = np.zeros(1 + max(int(value.max()) for value in labels), np.bool_)
    live[labels[0]] = live[labels[-1]] = True
    count = 0
    while count != (count := int(live.sum())):  # A stream is also written after it was read.
        for index, op in reversed(list(enumerate(policy.ops, 1))):
            if isinstance(op, Linear):
                weight = op.weight[live[labels[index]]]
                read = (weight != 0).reshape(-1, weight.shape[-1]).any(axis=0)
                live[labels[op.inputs[0]][read]] = True
    return live


def _with_one_per_value(live: Flags, labels: Labels) -> Flags:
    """``live`` and, where a value would be left empty, the class of its first channel."""
    kept: Flags = live.copy()
    for value in labels:
        if not kept[value].any():
            kept[value[0]] = True
    return kept


def _cut(op: Op, index: int, labels: Labels, live: Flags, kept: Flags) -> Op:
    """``op``, which writes value ``index``, with the channels that are ``kept``."""
    rows = kept[labels[index]]
    output = replace(op.output, shape=(*op.output.shape[:-1], int(rows.sum())))
    if not isinstance(op, Linear):
        return replace(op, output=output)
    weight = op.weight[rows][..., kept[labels[op.inputs[0]]]]
    weight[~live[labels[index][rows]]] = 0  # Kept for its shape only: nobody reads it.
    multiplier = op.multiplier[rows] if op.multiplier.size > 1 else op.multiplier
    return replace(op, output=output, weight=weight, multiplier=multiplier, bias=op.bias[rows])
