"""Entry point ``python -m rlcompress.train``: hands the command line's request to the run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from rlcompress import cli
from rlcompress.training.settings import Settings


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at everything that can be wrong before a step is taken; returns the run."""
    if settings.resume:
        settings = as_it_was(settings, job.directory)
    # Imported here: torch and the simulators take seconds, and --help needs neither.
    from rlcompress.training.run import prepare

    return prepare(settings, job.directory, job.command, job.descriptions)


def as_it_was(settings: Settings, directory: Path) -> Settings:
    """The settings that the run in ``directory`` was started with; overrides may only repeat them.

    In a sweep, jobs that had not begun yet have no such settings and begin now.

    Raises:
        ValueError: where an override asks for something else.
    """
    config = HydraConfig.get()
    path = directory / ".hydra" / "config.yaml"
    if not path.is_file():
        return replace(settings, resume=config.mode != RunMode.MULTIRUN)
    # A key that is younger than the run has the value that it has now.
    before = OmegaConf.merge(OmegaConf.structured(settings), OmegaConf.load(path))
    _check_same(config.overrides.task, OmegaConf.structured(settings), before)
    found = OmegaConf.to_object(before)
    assert isinstance(found, Settings)
    return replace(found, resume=True)


def _check_same(overrides: Sequence[str], now: Any, before: Any) -> None:
    for override in overrides:
        key = override.split("=", 1)[0].lstrip("+~")
        asked, was = OmegaConf.select(now, key), OmegaConf.select(before, key)
        if key != "resume" and asked != was:
            raise ValueError(
                f"resume=true continues a run as it was started, with {key}={was}, but {key} is "
                f"now {asked}; leave it out"
            )


def main() -> int:
    """Run the entry point; returns the exit code."""
    return cli.run(cli.EntryPoint("train", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
