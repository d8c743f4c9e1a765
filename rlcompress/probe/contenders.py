"""Opens the policies that are to be seen playing: dense beside compressed; plays nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlcompress.artifact.records import Observation
from rlcompress.probe.source import Source, open_source
from rlcompress.runtime.engine import Engine
from rlcompress.runtime.numerics import normalise

Predict = Callable[..., tuple[Any, Any]]


@dataclass(frozen=True)
class Contender:
    """A policy under a title, and the shape of the observations it takes."""

    title: str
    predict: Predict
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Contenders:
    """Who plays, in which environment (None: not known), and where a video goes, by its ending."""

    players: list[Contender]
    env_id: str | None
    beside: Callable[[str], Path]


def open_contenders(run: Path, against: Path | None) -> Contenders:
    """The policy of ``run``, to the right of what it is compared with.

    That is ``against``; without it, a run's dense model or the model in a zip; or nobody.

    Raises:
        ValueError: one line, where something cannot be read.
    """
    source = open_source(run)
    seen = source.policy.observation
    other = _zip(against, seen) if against is not None and against.suffix == ".zip" else None
    if against is not None and other is None:
        other = _compressed(open_source(against))
    if against is None:
        dense = _dense(source)
        other = None if dense is None else _zip(dense, seen)
    ours = _compressed(source)
    env_id = source.policy.meta.get("env_id")
    return Contenders(
        [ours] if other is None else [other, ours],
        env_id if isinstance(env_id, str) else None,
        lambda ending: _beside(source, ending),
    )


def _dense(source: Source) -> Path | None:
    """The zip of the dense model that belongs to a policy."""
    if source.kind == "zip":
        return source.path
    if source.kind == "run":
        for name in ("dense_best.zip", "dense_last.zip"):
            if (source.path / "phases" / name).is_file():
                return source.path / "phases" / name
    return None


def _zip(path: Path, seen: Observation) -> Contender:
    """A model that sees what the policy beside it sees: normalised where that normalises."""
    # Imported here: torch takes seconds, and an artifact does not need it.
    import torch

    from rlcompress.sb3.checkpoint import load

    torch.set_num_threads(1)  # The fastest for networks this small.
    model = load(path)
    shape = tuple(model.observation_space.shape or ())
    # Stored channels first, played channels last.
    if len(shape) == 3 and shape[0] < shape[-1]:
        shape = (*shape[1:], shape[0])
    name = path.stem.replace("_", " ") if path.parent.name == "phases" else path.name
    predict = _as_seen(model.predict, seen)
    return Contender(f"{name}: SB3, step {model.num_timesteps:,}", predict, shape)


def _as_seen(predict: Predict, seen: Observation) -> Predict:
    if seen.mean is None:
        return predict
    return lambda observation, **options: predict(
        normalise(seen, np.asarray(observation, np.float32)), **options
    )


def _compressed(source: Source) -> Contender:
    summary, policy = source.policy.summary(), source.policy
    bits = max((layer["bits"] for layer in summary["layers"]), default=32)
    # Short: it has to fit above a narrow picture.
    title = f"compressed: {100 * summary['sparsity']:.3g}% zeros, {bits} bits, "
    title += f"{summary['policy_bytes'] / 1000:.3g} kB"
    return Contender(title, Engine(policy).predict, tuple(policy.observation.shape))


def _beside(source: Source, ending: str) -> Path:
    if source.kind == "run":
        return source.path / f"play{ending}"
    return source.path.with_name(f"{source.path.stem}.play{ending}")
