"""How far the jobs of a sweep are, read from their directories; starts and stops nothing."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rlcompress.training.directory import SUMMARY
from rlcompress.training.lock import holder

State = Literal["done", "running", "failed", "stopped", "left"]

ERROR = "error.txt"
"""In a job's directory: why it failed; the last line is the reason."""

_SKIPPED = ("checkpoint", "phases", "drawings", "trunks")


@dataclass(frozen=True)
class JobStatus:
    """One job: where it is, how far, and for a failed one why.

    ``seconds`` is from its first file to its last, ``step`` that of its last evaluation; None where
    that cannot be told. ``reason`` is why it failed, or who runs it.
    """

    path: Path
    state: State
    seconds: float | None = None
    step: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class SweepStatus:
    """All jobs of a sweep; ``expected`` is how many its command asks for, None if unknown."""

    jobs: tuple[JobStatus, ...]
    expected: int | None

    def of(self, state: State) -> list[JobStatus]:
        """The jobs in one state."""
        return [job for job in self.jobs if job.state == state]

    @property
    def left(self) -> int:
        """Jobs that have not begun."""
        return max((self.expected or 0) - len(self.jobs), 0)

    def seconds_left(self) -> float | None:
        """About how long it takes if as many jobs run at a time as now; None where unknown.

        From the median of the finished jobs' durations; running ones count as half done.
        """
        times = [job.seconds for job in self.of("done") if job.seconds is not None]
        running = len(self.of("running"))
        if not times or not running:
            return None
        waiting = self.left + len(self.of("stopped")) + len(self.of("failed")) + running / 2
        return waiting * statistics.median(times) / running


def read_status(sweep: Path, expected: int | None = None) -> SweepStatus:
    """Look at every job below ``sweep``.

    Raises:
        ValueError: ``sweep`` is no directory.
    """
    if not sweep.is_dir():
        raise ValueError(f"status={sweep} is no directory; name that of a sweep (hydra.sweep.dir)")
    return SweepStatus(tuple(_job(path) for path in job_directories(sweep)), expected)


def job_directories(root: Path) -> Iterator[Path]:
    """Every directory below ``root`` that holds a run or what is left of one, in order."""
    with os.scandir(root) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    names = {entry.name for entry in found}
    if names & {".hydra", SUMMARY, ERROR}:
        yield Path(root)
        return
    for entry in found:
        # A launcher keeps its own files there as well, in folders that are hidden.
        aside = entry.name in _SKIPPED or entry.name.startswith(".")
        if entry.is_dir(follow_symlinks=False) and not aside:
            yield from job_directories(Path(entry.path))


def _job(path: Path) -> JobStatus:
    if (path / SUMMARY).exists():
        return JobStatus(path, "done", _seconds(path))
    who = holder(path)
    if who is not None:
        return JobStatus(path, "running", step=_last_step(path), reason=who)
    if (path / ERROR).exists():
        lines = (path / ERROR).read_text(errors="replace").strip().splitlines()
        return JobStatus(path, "failed", reason=lines[-1] if lines else "no reason given")
    return JobStatus(path, "stopped", step=_last_step(path))


def _seconds(path: Path) -> float | None:
    first, last = path / ".hydra" / "config.yaml", path / SUMMARY
    if not (first.exists() and last.exists()):
        return None
    return last.stat().st_mtime - first.stat().st_mtime


def _last_step(path: Path) -> int | None:
    """Step of the last evaluation that was written whole."""
    results = path / "eval.jsonl"
    if not results.exists():
        return None
    with results.open("rb") as file:
        file.seek(max(results.stat().st_size - 4096, 0))
        lines = file.read().split(b"\n")[:-1]
    try:
        return int(json.loads(lines[-1])["step"]) if lines else None
    except (ValueError, KeyError, TypeError):
        return None
