"""Entry point ``python -m rlcompress.compress``: hands the command line's request to the run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from rlcompress import cli
from rlcompress.compress.settings import Settings


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at everything that can be wrong before anything is played; returns the run."""
    if settings.resume:
        settings = as_it_was(settings, job.directory)
    # Imported here: torch and the simulators take seconds, and --help needs neither.
    from rlcompress.compress.run import prepare

    return prepare(settings, job.directory, job.command, job.descriptions)


def as_it_was(settings: Settings, directory: Path) -> Settings:
    """The settings that the run in ``directory`` was started with; overrides may only repeat them.

    Raises:
        ValueError: where an override asks for something else.
    """
    config = HydraConfig.get()
    path = directory / ".hydra" / "config.yaml"
    if not path.is_file():
        return replace(settings, resume=config.mode != RunMode.MULTIRUN)
    before = OmegaConf.merge(OmegaConf.structured(Settings), OmegaConf.load(path))
    now = OmegaConf.structured(settings)
    for override in config.overrides.task:
        key = override.split("=", 1)[0].lstrip("+~")
        asked, was = OmegaConf.select(now, key), OmegaConf.select(before, key)
        if key != "resume" and asked != was:
            raise ValueError(
                f"resume=true continues a run as it was started, with {key}={was}, but {key} is "
                f"now {asked}; leave it out"
            )
    found = OmegaConf.to_object(before)
    assert isinstance(found, Settings)
    return replace(found, resume=True)


def main() -> int:
    """Run the entry point; returns the exit code."""
    return cli.run(cli.EntryPoint("compress", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
