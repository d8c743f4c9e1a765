"""How far the jobs of a sweep are, read from their directories; starts and stops nothing."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml

from rlcompress.training.directory import SUMMARY
from rlcompress.training.lock import holder
from rlcompress.training.sweep_time import Shape, Words, only, own_parts, value_of

State = Literal["done", "running", "failed", "stopped", "left"]

ERROR = "error.txt"
"""In a job's directory: why it failed; the last line is the reason."""

STOPPED = "stopped.txt"
"""In a job's directory: what it said when a signal stopped it, until it is started again."""

KILLED = "it left no word: killed, or its machine went down"

_SKIPPED = ("checkpoint", "phases", "drawings", "trunks")
_CONFIG, _OVERRIDES = ".hydra/config.yaml", ".hydra/overrides.yaml"


@dataclass(frozen=True)
class JobStatus:
    """One job: where it is, how far, and for a failed one why.

    ``words`` are the overrides that asked for it, ``length`` its steps, ``step`` that of its last
    evaluation; ``seconds`` is how long it took, from its first file to its last. None where that
    cannot be told, for ``seconds`` also where it did not run in one go. ``reason`` is why it failed
    or stopped, or who runs it; ``log`` what a scheduler kept of it.
    """

    path: Path
    state: State
    words: Words | None = None
    seconds: float | None = None
    length: int | None = None
    step: int | None = None
    reason: str = ""
    log: Path | None = None

    @cached_property
    def began(self) -> float:
        """When it began, as a file's time; 0 where that cannot be told."""
        config = self.path / _CONFIG
        return config.stat().st_mtime if config.exists() else 0.0


@dataclass(frozen=True)
class SweepStatus:
    """All jobs of a sweep: those that have begun, and the words of all that were asked for.

    Two jobs with the same ``keys`` have the same directory; None: jobs with the same words have.
    """

    jobs: tuple[JobStatus, ...]
    asked: tuple[Words, ...] = ()
    shape: Shape | None = None
    keys: frozenset[str] | None = None

    def of(self, state: State) -> list[JobStatus]:
        """The jobs in one state."""
        return [job for job in self.jobs if job.state == state]

    @cached_property
    def left(self) -> tuple[Words, ...]:
        """Jobs that have not begun; one that left no words behind is the first of them."""
        begun = {only(job.words, self.keys) for job in self.jobs if job.words is not None}
        nameless = sum(job.words is None for job in self.jobs)
        return tuple(w for w in self.asked if only(w, self.keys) not in begun)[nameless:]

    @property
    def expected(self) -> int | None:
        """How many jobs there will be, None where no command left a word."""
        return len(self.jobs) + len(self.left) if self.asked else None

    def seconds_left(self) -> float | None:
        """About how long it takes if as many jobs run at a time as now; None where unknown.

        From the median pace of the finished jobs of the same environment, or of all.
        """
        running = len(self.of("running"))
        pace = self._pace
        if not pace or not running:
            return None
        waiting = sum(self._parts[words] * _nearest(pace, words) for words in self.left)
        for job in self.jobs:
            if job.state != "done":
                waiting += self._to_do(job) * _nearest(pace, job.words)
        return waiting / running

    @cached_property
    def _parts(self) -> dict[Words, float]:
        # What began first trained what they share.
        begun = sorted(self.jobs, key=lambda job: job.began)
        words = [job.words for job in begun if job.words is not None]
        return own_parts(dict.fromkeys([*words, *self.left]), self.shape)

    @cached_property
    def _pace(self) -> Mapping[str | None, float]:
        """Seconds that the whole length of a job takes, by environment; None: of them all."""
        found: dict[str | None, list[float]] = {}
        for job in self.of("done"):
            if job.seconds is not None:
                seconds = job.seconds / self._part(job)
                for env in {None, _env(job.words)}:
                    found.setdefault(env, []).append(seconds)
        return {env: statistics.median(values) for env, values in found.items()}

    def _to_do(self, job: JobStatus) -> float:
        """What is left of a job that has begun, as a part of its length."""
        lengths = [
            j.length for j in self.of("done") if j.length and _env(j.words) == _env(job.words)
        ]
        if job.step is None or not lengths:
            return self._part(job) / (2 if job.state == "running" else 1)
        return min(self._part(job), max(1.0 - job.step / max(lengths), 0.0))

    def _part(self, job: JobStatus) -> float:
        return 1.0 if job.words is None else self._parts[job.words]


def read_status(
    sweep: Path, asked: Sequence[Words] = (), keys: frozenset[str] | None = None
) -> SweepStatus:
    """Look at every job below ``sweep``; ``asked`` as the commands of the sweep asked for them.

    ``keys`` as in ``SweepStatus``; of jobs with the same directory the newest counts.

    Raises:
        ValueError: ``sweep`` is no directory.
    """
    if not sweep.is_dir():
        raise ValueError(f"status={sweep} is no directory; name that of a sweep (hydra.sweep.dir)")
    jobs = tuple(_job(path, sweep) for path in job_directories(sweep))
    by_directory = {only(words, keys): words for words in asked}
    return SweepStatus(jobs, tuple(by_directory.values()), _shape(jobs), keys)


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


def _job(path: Path, sweep: Path) -> JobStatus:
    words = _words(path)
    if (path / SUMMARY).exists():
        length = _json(path / SUMMARY).get("length")
        return JobStatus(path, "done", words, _seconds(path), length)
    step, who = _last_step(path), holder(path)
    if who is not None:
        return JobStatus(path, "running", words, step=step, reason=who)
    log = scheduler_log(path, sweep)
    if (path / ERROR).exists():
        reason = _last_line(path / ERROR) or "no reason given"
        return JobStatus(path, "failed", words, step=step, reason=reason, log=log)
    reason = _last_line(path / STOPPED) or KILLED
    return JobStatus(path, "stopped", words, step=step, reason=reason, log=log)


def _last_line(path: Path) -> str:
    """Of what a job left behind when it ended early; empty where it left nothing."""
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else ""


def _words(path: Path) -> Words | None:
    try:
        text = (path / _OVERRIDES).read_text()
    except OSError:
        return None
    lines = [line.removeprefix("- ") for line in text.splitlines() if line != "[]"]
    # Nearly all are plain, and a parser takes a hundred times as long.
    plain = not any(line[:1] in "'\"" for line in lines)
    found = lines if plain else [str(word) for word in yaml.safe_load(text)]
    return frozenset(word for word in found if not word.startswith("resume="))


def _env(words: Words | None) -> str | None:
    return None if words is None else value_of(words, "env")


def _nearest(pace: Mapping[str | None, float], words: Words | None) -> float:
    return pace.get(_env(words), pace[None])


def _seconds(path: Path) -> float | None:
    first, last, commands = path / _CONFIG, path / SUMMARY, path / "command.txt"
    if not (first.exists() and last.exists()):
        return None
    if commands.exists() and len(commands.read_bytes().splitlines()) > 1:
        return None
    return last.stat().st_mtime - first.stat().st_mtime


def _shape(jobs: Sequence[JobStatus]) -> Shape | None:
    """Where the runs part, from one of them; None where they share no beginnings."""
    for job in jobs:
        summary, config = _json(job.path / SUMMARY), job.path / _CONFIG
        if not summary.get("length") or not config.exists():
            continue
        settings = yaml.safe_load(config.read_text())
        if not settings.get("trunks"):
            return None
        total = summary["total_timesteps"] / summary["length"]
        return Shape(settings["pruning"]["begin"] * total, total)
    return None


def scheduler_log(path: Path, sweep: Path) -> Path | None:
    """What SLURM kept of what a job said, in the folder of submitit; of its errors if apart."""
    job = _json(path / "environment.json").get("scheduler_job")
    for ending in ("err", "out") if job else ():
        # All tasks of an array share the folder that is named after it.
        logs = sorted(sweep.glob(f".submitit/*/{job}_*_log.{ending}"))
        if logs:
            return logs[-1]
    return None


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


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
