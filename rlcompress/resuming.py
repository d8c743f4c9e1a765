"""What a run that is continued was asked for when it began; entry points call it, nothing below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

S = TypeVar("S")


def config_of(directory: Path) -> Path:
    """Where a run's configuration is written down."""
    return directory / ".hydra" / "config.yaml"


def as_it_was(settings: S, directory: Path) -> S:
    """The settings that the run in ``directory`` was started with; overrides may only repeat them.

    ``settings`` is a dataclass with a key ``resume``. In a sweep, jobs that had not begun yet have
    no such settings and begin now.

    Raises:
        ValueError: where an override asks for something else.
    """
    config = HydraConfig.get()
    path = config_of(directory)
    if not path.is_file():
        return _with_resume(settings, config.mode != RunMode.MULTIRUN)
    now = OmegaConf.structured(settings)
    # A key that is younger than the run has the value that it has now.
    before = OmegaConf.merge(now, OmegaConf.load(path))
    _check_same(config.overrides.task, now, before)
    found = OmegaConf.to_object(before)
    assert isinstance(found, type(settings))
    return _with_resume(found, True)


def _with_resume(settings: S, resume: bool) -> S:
    changed: Any = settings
    found: S = replace(changed, resume=resume)
    return found


def _check_same(overrides: Sequence[str], now: Any, before: Any) -> None:
    for override in overrides:
        key = override.split("=", 1)[0].lstrip("+~")
        asked, was = OmegaConf.select(now, key), OmegaConf.select(before, key)
        if key != "resume" and asked != was:
            raise ValueError(
                f"resume=true continues a run as it was started, with {key}={was}, but {key} is "
                f"now {asked}; leave it out"
            )
