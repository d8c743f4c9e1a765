"""What starts the jobs of a sweep: says what is missing for it; the engines are other people's."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

CHOICE = "hydra/launcher="

_NEEDS = {
    "joblib": ("joblib", ("joblib", "hydra_plugins.hydra_joblib_launcher")),
    "slurm": ("slurm", ("submitit", "hydra_plugins.hydra_submitit_launcher")),
    "ray": ("ray", ("ray",)),
}
"""Launcher: the extra that installs it, and the modules that tell whether it is there."""


def chosen(words: Sequence[str]) -> str | None:
    """The launcher that a command line names, if it does."""
    found = [word.removeprefix(CHOICE) for word in words if word.startswith(CHOICE)]
    return found[-1] if found else None


def make_ready(words: Sequence[str]) -> None:
    """Make the launcher that a command line chooses known to hydra.

    Raises:
        ValueError: what it needs is not installed; the message says what to install.
    """
    name = chosen(words)
    if name not in _NEEDS:
        return
    extra, modules = _NEEDS[name]
    missing = [module for module in modules if not _found(module)]
    if missing:
        raise ValueError(
            f"{CHOICE}{name} needs {missing[0].split('.')[-1]}, which is not installed: "
            f"pip install 'rlcompress[{extra}]'"
        )
    if name == "ray":
        from hydra.core.plugins import Plugins

        # Hydra takes plugins from its own namespace only; this adds a portion to it.
        place = str(Path(__file__).parent / "namespace")
        if place not in sys.path:
            sys.path.append(place)
        Plugins.instance().register(import_module("hydra_plugins.rlcompress_ray").RayLauncher)


def _found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
