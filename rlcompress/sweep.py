"""Entry point ``python -m rlcompress.sweep``: shows how far a sweep is; runs none of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from rlcompress import cli
from rlcompress.sweep_jobs import asked_jobs, directory_keys
from rlcompress.training.sweep_status import ERROR, JobStatus, SweepStatus, read_status


@dataclass
class Settings:
    """Everything ``python -m rlcompress.sweep`` understands."""

    status: str | None


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Read the sweep's directory; returns the printing of what is there."""
    if settings.status is None:
        raise ValueError("status is missing: status=<directory of a sweep>")
    directory = Path(settings.status)
    found = read_status(directory, asked_jobs(directory), directory_keys(directory))
    if not found.jobs:
        raise ValueError(f"status={directory} holds no job of a sweep")
    return lambda: show(found, Console())


def show(status: SweepStatus, console: Console) -> None:
    """Print counts, what is under way, and why what failed did."""
    counts = {state: len(status.of(state)) for state in ("done", "running", "failed", "stopped")}
    line = ", ".join(f"{number} {state}" for state, number in counts.items())
    left = "" if status.expected is None else f", {len(status.left)} left of {status.expected}"
    console.print(f"{line}{left}", highlight=False)
    seconds = status.seconds_left()
    if seconds is not None:
        console.print(f"about {duration(seconds)} left at this pace", highlight=False)
    for job in (*status.of("running"), *status.of("stopped"), *status.of("failed")):
        console.print(describe(job), highlight=False, soft_wrap=True, markup=False)


def describe(job: JobStatus) -> str:
    """A job that is not done: how far, why not, and what can be read about it."""
    if job.state == "failed":
        lines = [f"failed: {job.path}: {job.reason}", str(job.path / ERROR)]
    else:
        where = "" if job.step is None else f", evaluated after {job.step:,} steps"
        lines = [f"{job.state}: {job.path}{where} ({job.reason})"]
    lines += [str(job.log)] if job.log else []
    return "\n        ".join(lines)


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
