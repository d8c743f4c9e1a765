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
    folders = [Path(one.path) for one in config.runtime.config_sources if one.schema == "file"]
    _check_same(config.overrides.task, now, before, folders)
    found = OmegaConf.to_object(before)
    assert isinstance(found, type(settings))
    return _with_resume(found, True)


def _with_resume(settings: S, resume: bool) -> S:
    changed: Any = settings
    found: S = replace(changed, resume=resume)
    return found


def _check_same(overrides: Sequence[str], now: Any, before: Any, folders: Sequence[Path]) -> None:
    for override in overrides:
        for key in _spoken_of(override, now, folders):
            asked, was = OmegaConf.select(now, key), OmegaConf.select(before, key)
            if key != "resume" and asked != was:
                raise ValueError(
                    f"resume=true continues a run as it was started, with {key}={was}, but {key} "
                    f"is now {asked}; leave {override} out"
                )


def _spoken_of(override: str, now: Any, folders: Sequence[Path]) -> list[str]:
    """The settings that an override sets: itself, or those of a file that it names by its group."""
    key, _, value = override.partition("=")
    if key.lstrip("+~").split(".")[0] in now:
        return [key.lstrip("+~")]
    files = [folder / key / f"{value}.yaml" for folder in folders]
    found: list[str] = []
    for file in files:
        if file.is_file():
            found += _leaves(OmegaConf.to_container(OmegaConf.load(file)))
    return found


def _leaves(tree: Any) -> list[str]:
    if not isinstance(tree, dict):
        return [""]
    return [f"{key}.{leaf}".rstrip(".") for key, part in tree.items() for leaf in _leaves(part)]
