"""What the approximate mode costs in outputs and saves in work; it sets no thresholds by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from rlcompress.reuse.stack import ReuseStack


@dataclass(frozen=True)
class Deviation:
    """How far outputs lie from exact ones over some frames, and what was computed for them.

    Args:
        frames: how many were compared.
        largest: difference of any output.
        mean: absolute difference over all outputs.
        agreement: share of frames with the same greatest output, the action of a greedy policy.
        work: layer by layer, the share of positions that the approximate stack computed.
        exact_work: the same of the exact stack.
    """

    frames: int
    largest: float
    mean: float
    agreement: float
    work: dict[str, float]
    exact_work: dict[str, float]


def compare(
    exact: ReuseStack, approximate: ReuseStack, frames: Iterable[torch.Tensor]
) -> Deviation:
    """Run two stacks of the same modules over a film, frame by frame from its beginning."""
    if any(exact.options.frames.thresholds):
        raise ValueError(f"exact must have no thresholds, got {exact.options.frames.thresholds}")
    exact.reset()
    approximate.reset()
    differences, agreed = [], 0
    totals = [dict.fromkeys((w.name for w in stack.work), 0.0) for stack in (exact, approximate)]
    for frame in frames:
        expected, got = exact(frame), approximate(frame)
        differences.append((got - expected).abs().reshape(-1))
        agreed += int(torch.equal(got.flatten(1).argmax(1), expected.flatten(1).argmax(1)))
        for total, stack in zip(totals, (exact, approximate), strict=True):
            for work in stack.work:
                total[work.name] += work.fraction
    if not differences:
        raise ValueError("frames must hold at least one frame, got none")
    count = len(differences)
    every = torch.cat(differences)
    shares = [{name: sum_ / count for name, sum_ in total.items()} for total in totals]
    return Deviation(
        frames=count,
        largest=every.max().item(),
        mean=every.mean().item(),
        agreement=agreed / count,
        work=shares[1],
        exact_work=shares[0],
    )
