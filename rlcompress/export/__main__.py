"""Entry point ``python -m rlcompress.export``: from a run, a zip or an artifact to a file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlcompress import cli
from rlcompress.artifact import CompressedPolicy
from rlcompress.export.formats import FORMATS, Options, choose

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


@dataclass
class Settings:
    """Everything ``python -m rlcompress.export`` understands."""

    run: str | None
    out: str | None
    format: str | None
    optimise: str
    precision: str
    with_action: bool
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
        source = _within(source, settings)
    chosen, target = choose(settings.format, source, settings.out)
    wanted: dict[str, Any] = {"optimise": settings.optimise, "precision": settings.precision}
    options = Options(**wanted, with_action=settings.with_action)
    policy = _policy(source, settings)
    write = chosen.build(policy, target, options)

    def work() -> None:
        describe = write() if target != source else lambda: ""
        _report(policy, target)
        if chosen is not FORMATS["rlc"]:
            print(describe())

    return work


def _within(directory: Path, settings: Settings) -> Path:
    """The run's artifact, which alone has everything; its zip where what is asked for needs one."""
    of_zip = settings.vec_normalize is not None or not settings.remove_dead
    for name in ("actor.zip", "actor.rlc") if of_zip else ("actor.rlc", "actor.zip"):
        if (directory / name).is_file():
            return directory / name
    raise ValueError(f"{directory} holds no finished run (no actor.rlc, no actor.zip)")


def _policy(source: Path, settings: Settings) -> CompressedPolicy:
    if source.suffix == ".rlc":
        if settings.vec_normalize is not None:
            raise ValueError("vec_normalize belongs to a zip; an .rlc has its statistics inside")
        if not settings.remove_dead:
            raise ValueError("remove_dead=false belongs to a zip; an .rlc keeps the units it has")
        return CompressedPolicy.load(source)
    # Imported here: torch takes seconds, and converting an artifact does not need it.
    from rlcompress.export.freeze import freeze
    from rlcompress.export.freeze_statistics import read_statistics, statistics_beside

    earlier, statistics = _artifact_beside(source), None
    if settings.vec_normalize is not None:
        statistics = read_statistics(settings.vec_normalize)
    elif earlier is not None and earlier.observation.mean is not None:
        raise ValueError(
            f"{source.with_suffix('.rlc')} normalises its observations and {source.name} beside it "
            "has no statistics: name the .rlc, or give vec_normalize=<pickle>"
        )
    elif beside := statistics_beside(source):
        print(f"note: if it was trained with the statistics beside it, add vec_normalize={beside}")
    model = _model(source)
    return freeze(
        model,
        _golden(earlier, model.observation_space.shape),
        vec_normalize=statistics,
        remove_dead=settings.remove_dead,
        meta={"source": source.name},
    )


def _artifact_beside(source: Path) -> CompressedPolicy | None:
    try:
        return CompressedPolicy.load(source.with_suffix(".rlc"))
    except (ValueError, OSError):
        return None


def _model(source: Path) -> BaseAlgorithm:
    import warnings

    from rlcompress.sb3.checkpoint import load

    with warnings.catch_warnings():
        # About optimizers, which nobody needs here.
        warnings.filterwarnings("ignore", message=".*loading a DQN model saved with SB3 < 2.4.*")
        return load(source)


def _golden(earlier: CompressedPolicy | None, shape: Any) -> Any:
    """Recorded observations of an earlier artifact of the same model: better than made-up ones."""
    golden = None if earlier is None else earlier.golden
    if golden is None or sorted(golden.observations.shape[1:]) != sorted(shape):
        return None
    return golden.observations


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
