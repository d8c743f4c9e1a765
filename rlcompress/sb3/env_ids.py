"""From a Gymnasium id to a bare environment or an error that helps; adds no wrappers of ours."""

from __future__ import annotations

import difflib
import importlib
import re
import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec as Registration

_INSTALL = {
    "ale_py": "ale-py opencv-python-headless",
    "gymnasium.envs.box2d": 'swig "gymnasium[box2d]"',
    "gymnasium.envs.mujoco": '"gymnasium[mujoco]" "mujoco<4"',
    "gymnasium.envs.toy_text": '"gymnasium[toy-text]"',
    "gymnasium.envs.phys2d": '"gymnasium[jax]"',
    "gymnasium.envs.tabular": '"gymnasium[jax]"',
}
"""What to install, by the start of an environment's entry point."""

_ATARI = re.compile(r"ALE/.*|.*(NoFrameskip-v[04])")


def registered(env_id: str) -> Registration:
    """The registry's entry for ``env_id``; ``package:Id-v0`` imports ``package`` first.

    Raises:
        ValueError: the id is unknown; the message lists the nearest ones.
    """
    package, _, name = env_id.rpartition(":")
    if package:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ValueError(f"env={env_id} needs the package {package!r}: {error}") from error
    if name not in gymnasium.registry:
        _register_atari()
    if name not in gymnasium.registry:
        raise ValueError(_unknown(name))
    return gymnasium.registry[name]


def make_bare(env_id: str, options: Mapping[str, Any] | None = None) -> gymnasium.Env[Any, Any]:
    """The environment as Gymnasium makes it, without its warnings about age.

    Raises:
        ValueError: the id is unknown, or the environment cannot be made (with what to install).
    """
    registration = registered(env_id)
    options = dict(options or {})
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is out of date.*")
            return gymnasium.make(registration, disable_env_checker=True, **options)
    except Exception as error:
        raise ValueError(_failure(registration, error)) from error


def _register_atari() -> None:
    """Let ale-py, where it is installed, add its ids, and keep its banner off the terminal."""
    try:
        import ale_py
    except ImportError:
        return
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    gymnasium.register_envs(ale_py)


def nearest(name: str, count: int = 4) -> list[str]:
    """Registered ids most like ``name``: other versions of it first, then similar spellings."""
    ids = [i for i, entry in gymnasium.registry.items() if not _moved_away(entry)]
    stem = _stem(name)
    versions = sorted((i for i in ids if _stem(i) == stem), reverse=True)
    folded = {i.lower(): i for i in ids}
    similar = difflib.get_close_matches(name.lower(), folded, n=count + len(versions), cutoff=0.6)
    exact = [folded[name.lower()]] if name.lower() in folded else []
    return list(dict.fromkeys([*exact, *versions, *(folded[i] for i in similar)]))[:count]


def _moved_away(registration: Registration) -> bool:
    """Whether Gymnasium keeps the id only to say that it went to another package."""
    return getattr(registration.entry_point, "__name__", "").startswith("_raise")


def _stem(env_id: str) -> str:
    return re.sub(r"-v\d+$", "", env_id).lower()


def _unknown(name: str) -> str:
    message = f"env must be a registered Gymnasium id, got {name!r}"
    if near := nearest(name):
        message += "; nearest: " + ", ".join(near)
    atari_known = any(i.startswith("ALE/") for i in gymnasium.registry)
    if _ATARI.fullmatch(name) and not atari_known:
        message += f"; Atari games need: pip install {_INSTALL['ale_py']}"
    return message


def _failure(registration: Registration, error: Exception) -> str:
    reason = " ".join(str(error).split())
    message = f"env={registration.id} cannot be made: {reason}"
    if _moved_away(registration):
        versions = [i for i in nearest(registration.id) if _stem(i) == _stem(registration.id)]
        return f"{message} (instead: {', '.join(versions)})" if versions else message
    if isinstance(error, (ModuleNotFoundError, gymnasium.error.DependencyNotInstalled)):
        for prefix, packages in _INSTALL.items():
            if str(registration.entry_point).startswith(prefix):
                return f"{message} (pip install {packages})"
    return message
