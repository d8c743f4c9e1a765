"""How much of its length each job of a sweep trains itself, from the words that asked for it.

A model of what ``trunks`` does, good enough to say when a sweep ends: it opens no trunk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Words = frozenset[str]
"""The overrides of one job, as ``key=value``."""

_LATER = ("variant", "quant", "quantisation", "extra_timesteps", "extra_fraction")
_PRUNING = ("sparsity", "criterion", "allocation", "pruning")


@dataclass(frozen=True)
class Shape:
    """Where the runs of a sweep part, as fractions of their length.

    ``pruned`` is where pruning begins, ``quantised`` is T.
    """

    pruned: float
    quantised: float


def value_of(words: Words, key: str) -> str | None:
    """What a job was asked for, None where it was not."""
    return next((word.partition("=")[2] for word in words if word.startswith(f"{key}=")), None)


def only(words: Words, keys: frozenset[str] | None) -> Words:
    """The words that set one of ``keys``; all of them where that is None."""
    return words if keys is None else frozenset(w for w in words if w.partition("=")[0] in keys)


def own_parts(jobs: Iterable[Words], shape: Shape | None) -> dict[Words, float]:
    """The fraction of its length that each job trains itself, in the order in which they start.

    None as ``shape``: they share nothing.
    """
    found: dict[Words, float] = {}
    dense: set[Words] = set()
    trained: set[Words] = set()
    for job in jobs:
        if shape is None:
            found[job] = 1.0
            continue
        whole = without(job, _LATER)
        beginning = without(whole, _PRUNING)
        prunes = float(value_of(job, "sparsity") or 0.0) > 0.0
        if whole in trained and shape.quantised < 1.0:
            found[job] = 1.0 - shape.quantised
        else:
            found[job] = 1.0 - shape.pruned if prunes and beginning in dense else 1.0
        trained.add(whole)
        if prunes:
            dense.add(beginning)
    return found


def without(words: Words, keys: tuple[str, ...]) -> Words:
    """The words that set none of ``keys`` nor anything below them."""
    return frozenset(w for w in words if w.partition("=")[0].split(".")[0] not in keys)
