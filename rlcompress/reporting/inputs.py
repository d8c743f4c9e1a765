"""Finds run directories and sorts out what cannot be reported on; groups and judges nothing.

Made for thousands: of each directory ``summary.json`` and ``command.txt`` are parsed and
``eval.jsonl`` is only scanned for values that are not numbers. What cannot be used is named with
its reason, never silently left out.
"""

from __future__ import annotations

import glob
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlcompress.reporting.run import (
    COMMAND,
    EVALUATIONS,
    SUMMARY,
    Layer,
    Result,
    Run,
    parse_overrides,
)

TRACES = frozenset({SUMMARY, EVALUATIONS, COMMAND, "environment.json", "checkpoint", "phases"})
"""Names of which a run directory holds at least one."""

REPORT_MARK = "report.html"
SHARED = "trunks"
"""Where a sweep keeps the beginnings that its runs share; they are parts of runs, and none."""

_DEEPEST = 6


@dataclass(frozen=True)
class Skipped:
    """An input that is not in the report, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Inputs:
    """What was found: runs to report on, in the order of their names, and what was skipped."""

    runs: tuple[Run, ...]
    skipped: tuple[Skipped, ...]


class Unusable(Exception):
    """A directory cannot be reported on; the message says why."""


def read_runs(pattern: str) -> Inputs:
    """Everything below a directory, or below what a glob pattern matches.

    Raises:
        ValueError: where nothing matches, or no finished run is among what does.
    """
    tops = [Path(path) for path in sorted(glob.glob(os.path.expanduser(pattern), recursive=True))]
    if not tops:
        raise ValueError(f"runs={pattern} matches nothing; name a run directory, a sweep or a glob")
    base = Path(os.path.commonpath([path.absolute() for path in tops]))
    runs: list[Run] = []
    skipped: list[Skipped] = []
    for top in tops:
        for path in _candidates(top.absolute()):
            name = os.path.relpath(path, base) if path != base else path.name
            try:
                runs.append(_read(path, name))
            except Unusable as error:
                skipped.append(Skipped(name, str(error)))
    if not runs:
        reasons = "; ".join(f"{item.name}: {item.reason}" for item in skipped[:5])
        raise ValueError(f"runs={pattern} holds no finished run ({reasons or 'empty'})")
    runs.sort(key=lambda run: _natural(run.name))
    return Inputs(tuple(runs), tuple(sorted(skipped, key=lambda item: _natural(item.name))))


def _candidates(top: Path) -> Iterator[Path]:
    """Run directories at or below ``top``, and the topmost directories that hold none."""
    if not top.is_dir():
        yield top
        return
    found = list(_walk(top, 0))
    yield from found or [top]


def _walk(directory: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(directory) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        yield directory
        return
    names = {entry.name for entry in listed}
    if names & TRACES:
        yield directory
        return
    if REPORT_MARK in names or depth >= _DEEPEST:
        return
    children = [e for e in listed if e.is_dir() and not _is_aside(e.name)]
    below = [(Path(child.path), list(_walk(Path(child.path), depth + 1))) for child in children]
    if depth and not any(_is_run(path) for _, paths in below for path in paths):
        yield directory
        return
    for _, paths in below:
        yield from paths


def _is_aside(name: str) -> bool:
    return name == SHARED or name.startswith((".", "__"))


def _is_run(path: Path) -> bool:
    return any((path / name).exists() for name in TRACES)


def _read(path: Path, name: str) -> Run:
    if not path.is_dir():
        raise Unusable("not a run: it is a file")
    if not _is_run(path):
        raise Unusable("not a run: it holds none of a run's files")
    try:
        summary = json.loads((path / SUMMARY).read_bytes())
    except FileNotFoundError:
        raise Unusable(_unfinished(path)) from None
    except (OSError, ValueError) as error:
        raise Unusable(f"{SUMMARY} cannot be read: {error}") from None
    command = path / COMMAND
    overrides = parse_overrides(command.read_text() if command.is_file() else "")
    try:
        run = _run(path, name, summary, overrides)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unusable(f"{SUMMARY} is not a run's: {type(error).__name__} {error}") from None
    if not run.results:
        raise Unusable("it played no episodes: there are no returns to compare")
    _check_finite(run)
    return run


def _run(path: Path, name: str, summary: Any, overrides: Mapping[str, str]) -> Run:
    return Run(
        path=path,
        name=name,
        env=str(summary["env"]),
        algo=str(summary["algo"]),
        sparsity=float(summary["sparsity"]),
        quant=str(summary["quant"]),
        seed=int(summary["seed"]),
        total_timesteps=int(summary["total_timesteps"]),
        length=int(summary["length"]),
        results=tuple(_record(Result, row) for row in summary["rows"]),
        layers=tuple(_record(Layer, row) for row in summary.get("layers", ())),
        parity=summary.get("parity"),
        overrides=overrides,
        allocation=str(summary.get("allocation", "")),
    )


def _record(kind: type[Any], row: Mapping[str, Any]) -> Any:
    """A dataclass of the fields that it knows; later versions may write more."""
    return kind(**{name: row[name] for name in kind.__dataclass_fields__})


def _check_finite(run: Run) -> None:
    for row in run.results:
        if not math.isfinite(row.return_mean):
            raise Unusable(f"its return is {row.return_mean} ({row.variant}, {row.checkpoint})")
    path = run.path / EVALUATIONS
    data = path.read_bytes() if path.is_file() else b""
    # NaN and Infinity; single bytes, because gigabytes of lines are looked through several times as
    # fast. Whatever else has these letters is only parsed in vain.
    if b"N" not in data and b"I" not in data:
        return
    for episode in run.evaluations():
        if not math.isfinite(episode["return"]):
            raise Unusable(f"its return is {episode['return']} at step {episode['step']:,}")


def _unfinished(path: Path) -> str:
    error = path / "error.txt"
    if error.is_file():
        lines = error.read_text(errors="replace").strip().splitlines()
        return f"failed: {lines[-1] if lines else 'see error.txt'}"
    steps = "it has evaluated nothing yet"
    rows = path / EVALUATIONS
    if rows.is_file():
        try:
            steps = f"its last evaluation is at step {json.loads(_last_line(rows))['step']:,}"
        except (ValueError, KeyError, TypeError):
            steps = "its evaluations end in the middle of a line"
    return f"unfinished: {steps}"


def _last_line(path: Path) -> bytes:
    lines = path.read_bytes().rstrip().splitlines()
    return lines[-1] if lines else b""


def _natural(name: str) -> list[tuple[int, int | str]]:
    """A sorting key by which run 10 comes after run 9."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in name.split(os.sep)]
