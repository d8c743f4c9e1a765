"""The policies whose formats are compared, each with a recorded stream of observations.

A run directory or an artifact is taken as it is; an SB3 zip is frozen as it is and, once more,
quantised after training. What is done with them is decided elsewhere.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlcompress.artifact import AnyArray, CompressedPolicy
from rlcompress.runtime.engine import Engine

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecNormalize


@dataclass(frozen=True)
class Recorded:
    """A policy, the observations that it met in its environment, and the model it came from."""

    name: str
    env_id: str
    policy: CompressedPolicy
    observations: AnyArray
    model: BaseAlgorithm | None = None
    vec_normalize: VecNormalize | None = None
    zip_bytes: int | None = None


@dataclass(frozen=True)
class Recording:
    """How streams are recorded: how many observations, where (None: found out), from which seed."""

    steps: int
    env_id: str | None = None
    seed: int = 0


def find(patterns: Sequence[str]) -> list[Path]:
    """The files and run directories that match ``patterns``, in their order."""
    found: list[Path] = []
    for pattern in patterns:
        paths = [Path(path) for path in sorted(glob.glob(pattern))]
        paths = [path for path in paths if path.is_dir() or path.suffix in (".zip", ".rlc")]
        if not paths:
            raise ValueError(
                f"policies: nothing matches {pattern!r} (a run directory, SB3 zip or .rlc)"
            )
        found += paths
    return found


def record(path: Path, how: Recording) -> Iterator[Recorded]:
    """The policies of one file or run directory with their streams."""
    if path.is_dir():
        path = path / "actor.rlc" if (path / "actor.rlc").is_file() else path / "actor.zip"
    yield from (_artifact(path, how) if path.suffix == ".rlc" else _zip(path, how))


def env_of(path: Path, policy: CompressedPolicy, how: Recording) -> str:
    """The environment to record in: as asked, as the artifact says, or as the file is named."""
    from rlcompress.sb3.env_spec import describe

    named = re.search(r"(?:^|-)([A-Z]\w*(?:-[A-Za-z]\w*)*?)-v(\d+)", path.stem)
    candidates = [how.env_id] if how.env_id else [policy.meta.get("env_id")]
    if named and not how.env_id:
        # Gymnasium dropped the MuJoCo environments before v4.
        candidates += [f"{named[1]}-v{named[2]}", f"{named[1]}-v4"]
    reasons = []
    for candidate in filter(None, candidates):
        try:
            space = describe(str(candidate)).observation_space
        except ValueError as error:
            reasons.append(str(error))
            continue
        if sorted(space.shape or ()) == sorted(policy.observation.shape):
            return str(candidate)
        reasons.append(f"{candidate} has observations of shape {space.shape}")
    reason = reasons[0] if reasons else "its file is not named after one"
    raise ValueError(f"{path}: no environment to record in ({reason}); say env=<id>")


def _artifact(path: Path, how: Recording) -> Iterator[Recorded]:
    policy = CompressedPolicy.load(path)
    env_id = env_of(path, policy, how)
    name = path.parent.name if path.name == "actor.rlc" else path.stem
    beside = path.with_suffix(".zip")
    model, zip_bytes = None, None
    if beside.is_file():
        model, zip_bytes = _load(beside), beside.stat().st_size
    yield Recorded(name, env_id, policy, _stream(policy, env_id, how), model, None, zip_bytes)


def _zip(path: Path, how: Recording) -> Iterator[Recorded]:
    from rlcompress.export.freeze import freeze
    from rlcompress.export.freeze_statistics import read_statistics, statistics_beside
    from rlcompress.quantization.state import spec_of
    from rlcompress.sb3.actors import actor_of
    from rlcompress.sb3.observations import sample_size
    from rlcompress.sb3.quantise import quantise_after_training_
    from rlcompress.spec import QuantSpec

    model, size = _load(path), path.stat().st_size
    beside = statistics_beside(path)
    statistics = None if beside is None else read_statistics(beside)
    policy = freeze(model, vec_normalize=statistics)
    env_id = env_of(path, policy, how)
    seen = _stream(policy, env_id, how)
    yield Recorded(path.stem, env_id, policy, seen, model, statistics, size)
    if spec_of(actor_of(model).root) is None:
        model = _load(path)  # The other one is still compared with what was frozen of it.
        seen_first = seen[: sample_size(model)]
        quantise_after_training_(model, QuantSpec(), seen_first, vec_normalize=statistics)
        policy = freeze(model, seen_first, vec_normalize=statistics)
        seen = _stream(policy, env_id, how)
        yield Recorded(f"{path.stem}, PTQ", env_id, policy, seen, model, statistics)


def _load(path: Path) -> BaseAlgorithm:
    import warnings

    from rlcompress.sb3.checkpoint import load

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*loading a DQN model saved with SB3 < 2.4.*")
        return load(path)


def _stream(policy: CompressedPolicy, env_id: str, how: Recording) -> Any:
    from rlcompress.evaluation.rollout import record_observations
    from rlcompress.sb3.environments import make_evaluation_env

    # Behind VecNormalize's place: the policy normalises what it reads.
    return record_observations(
        Engine(policy), lambda: make_evaluation_env(env_id, seed=how.seed), how.steps, seed=how.seed
    )
