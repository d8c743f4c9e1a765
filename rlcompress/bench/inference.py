"""The engine against every installed peer, one pinned thread, in one run of alternating rounds.

Entry point ``python -m rlcompress.bench.inference``. What is timed is decided in ``plan``, what a
case is made of in ``networks``, and how backends take turns in ``rlcompress.probe``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from rlcompress import cli
from rlcompress.bench.settings import Settings


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at the request; returns the benchmark."""
    # Imported here: --help needs none of the libraries that these load.
    from rlcompress.bench.plan import make_plan
    from rlcompress.bench.run import Run

    return Run(make_plan(settings)).everything


def lists(arguments: Sequence[str], settings: type[Any] = Settings) -> list[str]:
    """Command-line words with ``key=a,b`` as ``key=[a,b]`` for the ``settings`` that are lists."""
    taking = {field.name for field in fields(settings) if str(field.type).startswith("list")}
    words = []
    for word in arguments:
        key, equals, value = word.partition("=")
        plain = equals and key in taking and not value.startswith("[")
        words.append(f"{key}=[{value}]" if plain else word)
    return words


def main() -> int:
    """Run the entry point; returns the exit code."""
    sys.argv[1:] = lists(sys.argv[1:])
    return cli.run(cli.EntryPoint("bench_inference", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
