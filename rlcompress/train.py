"""Entry point ``python -m rlcompress.train``: hands the command line's request to the run."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rlcompress import cli
from rlcompress.resuming import as_it_was
from rlcompress.training.settings import Settings


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at everything that can be wrong before a step is taken; returns the run."""
    if settings.resume:
        settings = as_it_was(settings, job.directory)
    # Imported here: torch and the simulators take seconds, and --help needs neither.
    from rlcompress.training.run import prepare

    return prepare(settings, job.directory, job.command, job.descriptions)


def main() -> int:
    """Run the entry point; returns the exit code."""
    return cli.run(cli.EntryPoint("train", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
