"""What every benchmark ends with: a table for people, the same rows as JSON; measures nothing."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from rlcompress.artifact.file import write_bytes
from rlcompress.training.environment_record import environment_record

WIDTH = 160
PEERS = ("onnx", "onnxruntime", "openvino", "deepsparse", "scipy")
"""Packages beside those of a training run that results may depend on."""


def report(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    out: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    console: Console | None = None,
) -> None:
    """Print rows as a table and, where ``out`` is given, write them as JSON with the machine.

    Only ``columns`` are printed, under the headings they map to (None: all of the first row's);
    all entries are written.
    """
    record = machine_record()
    console = console or wide_console()
    console.print(table(title, rows, columns))
    console.print(machine_line(record), style="dim")
    if out is not None:
        write(out, rows, record)


def table(
    title: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str] | None = None
) -> Table:
    """A table of rows that may lack entries; columns that all lack are left out."""
    wanted = columns if columns is not None else {name: name for row in rows[:1] for name in row}
    chosen = [name for name in wanted if any(row.get(name) is not None for row in rows)]
    drawn = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    for name in chosen:
        numeric = any(isinstance(row.get(name), (int, float)) for row in rows)
        drawn.add_column(wanted[name], justify="right" if numeric else "left", no_wrap=numeric)
    for row in rows:
        drawn.add_row(*(_shown(row.get(name)) for name in chosen))
    return drawn


def wide_console() -> Console:
    """A console on stdout, wide enough for a table where stdout is not a terminal."""
    return Console() if sys.stdout.isatty() else Console(width=WIDTH)


def machine_record() -> dict[str, Any]:
    """JSON-able description of this machine, its versions and the commit."""
    record = environment_record()
    for name in PEERS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            record["packages"][name] = metadata.version(name)
    return record


def machine_line(record: Mapping[str, Any]) -> str:
    """The record in one line."""
    commit = record["git"] or "no git"
    versions = ", ".join(f"{name} {version}" for name, version in record["packages"].items())
    return f"{record['cpu']}, {record['cores']} cores, commit {commit[:12]}; {versions}"


def write(path: str | Path, rows: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> None:
    """Write ``{"machine": ..., "rows": [...]}``."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": dict(record), "rows": [dict(row) for row in rows]}
    write_bytes(path, (json.dumps(content, indent=1) + "\n").encode())


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    if isinstance(value, (list, tuple)):
        return " to ".join(_shown(entry) for entry in value)
    return str(value)
