"""Packs a sweep's finished runs into one file of a row each, and unpacks it; computes nothing.

    python experiments/paper/collect.py <sweep directory> <file.jsonl>

A row holds what the figures and ``python -m rlcompress.report`` read of a run: its command, its
summary and the returns of all its evaluations. Weights, artifacts and logs stay where they are.
Rows that the file has of runs which are not in the directory stay: seeds may be trained elsewhere.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from rlcompress.reporting.inputs import read_runs
from rlcompress.reporting.run import COMMAND, EVALUATIONS, SUMMARY, Run


def pack(run: Run) -> dict[str, Any]:
    """One finished run as a row."""
    episodes = groupby(run.evaluations(), key=lambda row: (row["variant"], row["step"]))
    record = run.read_json("environment.json")
    return {
        "run": run.name,
        "commit": record.get("git"),
        "begun_by": record.get("begun_by", {}).get("git"),
        "changed": record.get("changed", []),
        "command": run.text(COMMAND),
        "summary": run.read_json(SUMMARY),
        "evaluations": [[*key, [row["return"] for row in rows]] for key, rows in episodes],
    }


def unpack(file: Path, folder: Path) -> None:
    """Makes a directory again of every row of a file."""
    for line in file.read_text().splitlines():
        row = json.loads(line)
        run = folder / row["run"]
        run.mkdir(parents=True)
        (run / COMMAND).write_text(row["command"])
        (run / SUMMARY).write_text(json.dumps(row["summary"]))
        about = {"env": row["summary"]["env"], "seed": row["summary"]["seed"]}
        episodes = (
            about | {"variant": variant, "step": step, "return": value}
            for variant, step, values in row["evaluations"]
            for value in values
        )
        (run / EVALUATIONS).write_text("".join(f"{json.dumps(e)}\n" for e in episodes))


@contextmanager
def unpacked(packed: Path) -> Iterator[Path]:
    """A folder with the runs of all files of ``packed``, for as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        for file in sorted(packed.glob("*.jsonl")):
            unpack(file, Path(folder) / file.stem)
        yield Path(folder)


def main() -> None:
    """Pack into what the file has, beside it and renamed."""
    inputs = read_runs(sys.argv[1])
    for item in inputs.skipped:
        print(f"left out: {item.name}: {item.reason}")
    target = Path(sys.argv[2])
    target.parent.mkdir(parents=True, exist_ok=True)
    there = target.read_text().splitlines() if target.exists() else []
    rows = {row["run"]: row for row in map(json.loads, there)}
    rows |= {run.name: pack(run) for run in inputs.runs}
    beside = target.with_suffix(".tmp")
    beside.write_text("".join(f"{json.dumps(rows[name])}\n" for name in sorted(rows)))
    os.replace(beside, target)
    print(f"{target}: {len(rows)} runs, {target.stat().st_size // 1000} KB")


if __name__ == "__main__":
    main()
