"""Entry point ``python -m rlcompress.report``: from run directories to a page to look at."""

from __future__ import annotations

import glob
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rlcompress import cli


@dataclass
class Settings:
    """Everything ``python -m rlcompress.report`` understands."""

    runs: str | None
    out: str | None
    title: str | None
    files: bool
    level: float
    resamples: int
    seed: int


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Read what there is to report on; returns the making of the report."""
    if settings.runs is None:
        raise ValueError("runs is missing: runs=<run directory, sweep directory or glob>")
    # Imported here: matplotlib and scipy take a second, and --help needs neither.
    from rlcompress.evaluation.resampling import Bootstrap
    from rlcompress.reporting.inputs import read_runs
    from rlcompress.reporting.report import Request, make_report

    how = Bootstrap(settings.level, settings.resamples, settings.seed)
    out = _out(settings.runs, settings.out)
    inputs = read_runs(settings.runs)
    title = settings.title or _title(settings.runs)

    def work() -> None:
        for item in inputs.skipped[:20]:
            print(f"skipped {item.name}: {item.reason}")
        if len(inputs.skipped) > 20:
            print(f"skipped {len(inputs.skipped) - 20:,} more, all named in the report")
        page = make_report(inputs, Request(out, title, job.command, settings.files, how))
        runs = len(inputs.runs)
        print(f"{page}: {runs:,} run{'s' * (runs != 1)}, {page.stat().st_size:,} bytes")

    return work


def _out(runs: str, out: str | None) -> Path:
    if out is not None:
        if Path(out).is_file():
            raise ValueError(f"out={out} is a file; name a directory for the report")
        return Path(out)
    return Path("report") if glob.has_magic(runs) else Path(runs).expanduser() / "report"


def _title(runs: str) -> str:
    named = runs.rstrip("/*") if glob.has_magic(runs) else runs
    return Path(named).expanduser().resolve().name or "Runs"


def main() -> int:
    """Run the entry point; returns the exit code."""
    return cli.run(cli.EntryPoint("report", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
