"""Entry point ``python -m rlcompress.search``: hands the command line's request to the search."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rlcompress import cli
from rlcompress.search.settings import Settings


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at everything that can be wrong before a run is started; returns the search."""
    # Imported here: torch and the simulators take seconds, and --help needs neither.
    from rlcompress.search.search import prepare

    return prepare(settings)


def main() -> int:
    """Run the entry point; returns the exit code."""
    return cli.run(cli.EntryPoint("search", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
