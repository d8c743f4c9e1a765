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

_VARIANTS = {"false": "none", "true": "int8", "ptq": "ptq"}
_HELP = ("--help", "-h", "--hydra-help", "--version", "--info", "-i", "--shell-completion", "-sc")


def expanded(words: Sequence[str], config_dir: Path, name: str) -> list[str]:
    """The words of a command line that names an experiment, with what it left to us.

    Adds the grid that belongs to the experiment and the budget, where there is one of its own, and
    removes axes that the command line sets itself. ``quant`` names variants where they are an axis:
    beside it every variant would be the same run. Other command lines come back as they are.

    Args:
        words: Of the command line.
        config_dir: Where the configuration lies.
        name: Of the entry point's configuration, whose schema is in hydra's store.
    """
    experiment = _last(words, EXPERIMENT)
    if experiment is None or any(word.startswith(_HELP) for word in words):
        return list(words)
    grid = f"{_last(words, BUDGET) or ''}/{experiment}"
    own = [f"+grid={grid}"] if (config_dir / "grid" / f"{grid}.yaml").is_file() else []
    axes = _axes(
        config_dir, name, [word for word in [*words, *own] if word.startswith(("+", BUDGET))]
    )
    found = [_as_variant(word) for word in words] if "variant" in axes else list(words)
    named = {word.split("=", 1)[0].lstrip("+") for word in found if "=" in word}
    own += [f"~hydra.sweeper.params.{axis}" for axis in axes if axis in named]
    # argparse takes overrides in one piece, which flags may follow.
    place = found.index(f"{EXPERIMENT}{experiment}") + 1
    return found[:place] + own + found[place:]


def _last(words: Sequence[str], prefix: str) -> str | None:
    values = [word.removeprefix(prefix) for word in words if word.startswith(prefix)]
    return values[-1] if values else None


def _as_variant(word: str) -> str:
    key, _, value = word.partition("=")
    values = value.lower().split(",")
    if key != "quant" or not set(values) <= set(_VARIANTS):
        return word
    return f"variant={','.join(_VARIANTS[value] for value in values)}"


def _axes(config_dir: Path, name: str, overrides: list[str]) -> list[str]:
    with initialize_config_dir(str(config_dir), version_base="1.3"):
        config = compose(name, overrides=overrides, return_hydra_config=True)
    params = config.hydra.sweeper.get("params")
    return [str(axis) for axis in params] if isinstance(params, DictConfig) else []
