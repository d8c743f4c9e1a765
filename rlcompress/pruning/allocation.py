"""Allocations: how many weights each layer keeps of a common budget; never which ones.

An allocation sees scores, so that ``global`` is one like any other; all but ``global`` only read
their shapes. A score of ``DEAD`` marks a weight that is already pruned: no layer is ever given more
than it has left, which is what lets masks only ever lose entries while the sparsity grows. All
arithmetic is in fractions, so that ties and sums are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TypeAlias

import torch

Scores: TypeAlias = Mapping[str, torch.Tensor]
Allocation: TypeAlias = Callable[[Scores, int], dict[str, int]]
"""(scores by layer, weights to keep in all) -> weights to keep by layer, summing to the budget."""

ALLOCATIONS: dict[str, Allocation] = {}
DATA_DEPENDENT: set[str] = set()
"""Allocations whose result depends on the scores themselves, so that it is not known in advance."""

DEAD = float("-inf")


def allocation(name: str, *, data_dependent: bool = False) -> Callable[[Allocation], Allocation]:
    """Register an allocation under ``name``."""

    def register(function: Allocation) -> Allocation:
        ALLOCATIONS[name] = function
        if data_dependent:
            DATA_DEPENDENT.add(name)
        return function

    return register


def kept_total(sparsity: float, weights: int) -> int:
    """(1 - sparsity) ``weights``, rounded half to even: how many stay."""
    return round((1.0 - sparsity) * weights)


@allocation("global", data_dependent=True)
def global_(scores: Scores, kept: int) -> dict[str, int]:
    """The highest scores of all layers together."""
    _room(scores, kept)
    chosen = keep_top(torch.cat([score.flatten() for score in scores.values()]), kept)
    parts = torch.split(chosen, [score.numel() for score in scores.values()])
    return {name: int(part.sum()) for name, part in zip(scores, parts, strict=True)}


@allocation("uniform")
def uniform(scores: Scores, kept: int) -> dict[str, int]:
    """The same sparsity in every layer."""
    return _divide(scores, [score.numel() for score in scores.values()], kept)


@allocation("erdos_renyi")
def erdos_renyi(scores: Scores, kept: int) -> dict[str, int]:
    """Density proportional to sum(dims) / prod(dims), the dims of a kernel included.

    A layer that would be more than dense is kept dense and the rest is divided again.
    """
    return _divide(scores, [sum(score.shape) for score in scores.values()], kept)


@allocation("erdos_renyi_paper")
def erdos_renyi_paper(scores: Scores, kept: int) -> dict[str, int]:
    """Sparsity (not density) proportional to 1 - sum(dims) / prod(dims).

    A layer whose coefficient is not positive is kept dense. At high sparsity some layer would have
    to lose more weights than it has, which is refused.
    """
    sizes = [score.numel() for score in scores.values()]
    losses = [max(0, score.numel() - sum(score.shape)) for score in scores.values()]
    lost = sum(sizes) - kept
    # Layer l loses k losses[l], so layer l has sizes[l] / losses[l] as the largest k it can bear.
    bounds = [(Fraction(n, m), name) for name, n, m in zip(scores, sizes, losses, strict=True) if m]
    bound, tightest = min(bounds, default=(Fraction(0), next(iter(scores))))
    if lost > bound * sum(losses):
        largest = float(bound * sum(losses) / sum(sizes))
        raise ValueError(
            f"allocation 'erdos_renyi_paper' cannot reach sparsity {lost / sum(sizes):.6g}: layer "
            f"{tightest!r} would need a sparsity above 1; for these layers the largest is "
            f"{largest:.4f} (lower the sparsity or use allocation 'erdos_renyi')"
        )
    factor = Fraction(lost, sum(losses) or 1)
    return _divide(scores, [n - factor * m for n, m in zip(sizes, losses, strict=True)], kept)


def keep_top(score: torch.Tensor, kept: int) -> torch.Tensor:
    """Mask of the ``kept`` highest scores; among equals the lowest flat index is kept."""
    flat = score.flatten()
    if kept == 0:
        return torch.zeros_like(score, dtype=torch.bool)
    # topk alone may pick any of several equal scores; its smallest value is the same whichever.
    threshold = flat.topk(kept, sorted=True).values[-1]
    above = flat > threshold
    equal = flat == threshold
    missing = kept - int(above.sum())
    return (above | (equal & (equal.cumsum(0) <= missing))).view_as(score)


def _divide(scores: Scores, weights: Sequence[int | Fraction], kept: int) -> dict[str, int]:
    """Divide ``kept`` in proportion to ``weights`` among layers, none above what it has left."""
    counts = _round(_share(weights, _room(scores, kept), kept), kept)
    return dict(zip(scores, counts, strict=True))


def _room(scores: Scores, kept: int) -> list[int]:
    """Weights that each layer has left, which must be enough for ``kept``."""
    room = [int((score != DEAD).sum()) for score in scores.values()]
    if not 0 <= kept <= sum(room):
        raise ValueError(f"weights to keep must be in 0..{sum(room)}, got {kept}")
    return room


def _share(weights: Sequence[int | Fraction], room: Sequence[int], kept: int) -> list[Fraction]:
    """Exact shares min(room, eps weight) whose eps makes them sum to ``kept``."""
    shares = [Fraction(0)] * len(room)
    free = set(range(len(room)))
    left = kept
    while left:
        # Layers without a claim of their own (weight 0) only matter once all others are full.
        claims = {i: weights[i] for i in free if weights[i]} or dict.fromkeys(free, 1)
        eps = Fraction(left) / sum(claims.values())
        full = {i for i, claim in claims.items() if eps * claim >= room[i]}
        if not full:
            shares = [eps * claims.get(i, 0) if i in free else shares[i] for i in range(len(room))]
            break
        for i in full:
            shares[i] = Fraction(room[i])
        left -= sum(room[i] for i in full)
        free -= full
    return shares


def _round(shares: Sequence[Fraction], total: int) -> list[int]:
    """Integers by largest remainder that sum to ``total``; ties go to the lower index."""
    counts = [int(share) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda i: counts[i] - shares[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts
