"""Entry point ``python -m rlcompress.export``: from a run, a zip or an artifact to a file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlcompress import cli
from rlcompress.artifact import CompressedPolicy
from rlcompress.export.formats import choose, optimise_of

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecNormalize


@dataclass
class Settings:
    """Everything ``python -m rlcompress.export`` understands."""

    run: str | None
    out: str | None
    format: str | None
    optimise: str
    vec_normalize: str | None
    remove_dead: bool


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Read what is to be exported; returns the writing of it."""
    if settings.run is None:
        raise ValueError("run is missing: run=<run directory, SB3 zip or .rlc>")
    source = Path(settings.run)
    if not source.exists():
        raise ValueError(f"run={source} does not exist")
    if source.is_dir():
        source = _within(source)
    chosen, target = choose(settings.format, source, settings.out)
    optimise = optimise_of(settings.optimise)
    policy = _policy(source, settings)
    write = chosen.build(policy, target, optimise)

    def work() -> None:
        said = write() if target != source else ""
        _report(policy, target)
        if said:
            print(said)

    return work


def _within(directory: Path) -> Path:
    for name in ("actor.zip", "actor.rlc"):
        if (directory / name).is_file():
            return directory / name
    raise ValueError(f"{directory} holds no finished run (no actor.zip, no actor.rlc)")


def _policy(source: Path, settings: Settings) -> CompressedPolicy:
    if source.suffix == ".rlc":
        return CompressedPolicy.load(source)
    # Imported here: torch takes seconds, and converting an artifact does not need it.
    from rlcompress.export.freeze import freeze
    from rlcompress.sb3.checkpoint import load

    model = load(source)
    statistics = None if settings.vec_normalize is None else _statistics(settings.vec_normalize)
    return freeze(
        model,
        _golden(source.with_suffix(".rlc"), model.observation_space.shape),
        vec_normalize=statistics,
        remove_dead=settings.remove_dead,
        meta={"source": source.name},
    )


def _golden(earlier: Path, shape: Any) -> Any:
    """Recorded observations of an earlier artifact of the same model: better than made-up ones."""
    try:
        golden = CompressedPolicy.load(earlier).golden
    except (ValueError, OSError):
        return None
    if golden is None or sorted(golden.observations.shape[1:]) != sorted(shape):
        return None
    return golden.observations


def _statistics(path: str) -> VecNormalize:
    import pickle

    from stable_baselines3.common.vec_env import VecNormalize

    try:
        with open(path, "rb") as file:
            found = pickle.load(file)
    except (OSError, pickle.UnpicklingError, EOFError, AttributeError, ImportError) as error:
        raise ValueError(f"vec_normalize={path} cannot be read: {error}") from None
    if not isinstance(found, VecNormalize):
        raise ValueError(f"vec_normalize={path} holds a {type(found).__name__}, not VecNormalize")
    return found


def _report(policy: CompressedPolicy, target: Path) -> None:
    summary = policy.summary()
    print(
        f"{target}: {target.stat().st_size:,} bytes, {summary['kept']:,} of "
        f"{summary['weights']:,} weights; the artifact has {summary['policy_bytes']:,} bytes "
        f"without golden data and metadata, {summary['honest_factor']:.1f}x less than dense float32"
    )


def main() -> int:
    """Run the entry point; returns the exit code."""
    return cli.run(cli.EntryPoint("export", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
