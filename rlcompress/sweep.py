"""Entry point ``python -m rlcompress.sweep``: shows how far a sweep is; runs none of it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from rich.console import Console

from rlcompress import cli
from rlcompress.training.sweep_status import ERROR, SweepStatus, read_status


@dataclass
class Settings:
    """Everything ``python -m rlcompress.sweep`` understands."""

    status: str | None


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Read the sweep's directory; returns the printing of what is there."""
    if settings.status is None:
        raise ValueError("status is missing: status=<directory of a sweep>")
    directory = Path(settings.status)
    found = read_status(directory, expected_jobs(directory))
    if not found.jobs:
        raise ValueError(f"status={directory} holds no job of a sweep")
    return lambda: show(found, Console())


def expected_jobs(sweep: Path) -> int | None:
    """How many jobs the newest command in ``sweep`` asks for, None where it left no word."""
    path = sweep / "multirun.yaml"
    if not path.is_file():
        return None
    config = OmegaConf.load(path)
    params = OmegaConf.select(config, "hydra.sweeper.params") or {}
    words = [f"{name}={value}" for name, value in params.items()]
    words += list(OmegaConf.select(config, "hydra.overrides.task") or [])
    overrides = OverridesParser.create().parse_overrides(words)
    axes = [o for o in overrides if o.is_sweep_override()]
    return math.prod(sum(1 for _ in axis.sweep_string_iterator()) for axis in axes)


def show(status: SweepStatus, console: Console) -> None:
    """Print counts, what is under way, and why what failed did."""
    counts = {state: len(status.of(state)) for state in ("done", "running", "failed", "stopped")}
    line = ", ".join(f"{number} {state}" for state, number in counts.items())
    left = "" if status.expected is None else f", {status.left} left of {status.expected}"
    console.print(f"{line}{left}", highlight=False)
    seconds = status.seconds_left()
    if seconds is not None:
        console.print(f"about {duration(seconds)} left at this pace", highlight=False)
    for job in (*status.of("running"), *status.of("stopped")):
        where = "" if job.step is None else f", evaluated after {job.step:,} steps"
        who = f" ({job.reason})" if job.reason else ""
        console.print(f"{job.state}: {job.path}{where}{who}", highlight=False, soft_wrap=True)
    for job in status.of("failed"):
        console.print(
            f"failed: {job.path}: {job.reason}\n        {job.path / ERROR}",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )


def duration(seconds: float) -> str:
    """A length of time for people."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"))
    return " ".join(f"{value} {unit}" for value, unit in parts if value)


def main() -> int:
    """Run the entry point; returns the exit code."""
    return cli.run(cli.EntryPoint("sweep", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
