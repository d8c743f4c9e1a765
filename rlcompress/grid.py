"""The axes of an experiment's sweep: smaller ones for smaller budgets, none that is named twice.

Hydra's sweeper multiplies its own axes with those of the command line: ``seed=0`` beside an axis
``seed: range(10)`` would run the same job ten times. Here, as everywhere else, the command line
wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

EXPERIMENT, BUDGET = "+experiment=", "budget="


def expanded(words: Sequence[str], config_dir: Path, name: str) -> list[str]:
    """The words of a command line that names an experiment, with what it left to us.

    Adds the grid that belongs to the experiment and the budget, where there is one of its own, and
    removes axes that the command line sets itself. Other command lines come back as they are.

    Args:
        words: Of the command line.
        config_dir: Where the configuration lies.
        name: Of the entry point's configuration, whose schema is in hydra's store.
    """
    found = list(words)
    experiment = _last(words, EXPERIMENT)
    if experiment is None or any("--" in word for word in words):
        return found
    grid = f"{_last(words, BUDGET) or ''}/{experiment}"
    if (config_dir / "grid" / f"{grid}.yaml").is_file():
        found.append(f"+grid={grid}")
    axes = _axes(config_dir, name, [word for word in found if word.startswith(("+", BUDGET))])
    named = {word.split("=", 1)[0].lstrip("+") for word in words if "=" in word}
    return found + [f"~hydra.sweeper.params.{axis}" for axis in axes if axis in named]


def _last(words: Sequence[str], prefix: str) -> str | None:
    values = [word.removeprefix(prefix) for word in words if word.startswith(prefix)]
    return values[-1] if values else None


def _axes(config_dir: Path, name: str, overrides: list[str]) -> list[str]:
    with initialize_config_dir(str(config_dir), version_base="1.3"):
        config = compose(name, overrides=overrides, return_hydra_config=True)
    params = config.hydra.sweeper.get("params")
    return [str(axis) for axis in params] if isinstance(params, DictConfig) else []
