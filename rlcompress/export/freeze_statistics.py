"""Reads the VecNormalize statistics that a zip was trained with; normalises nothing itself."""

from __future__ import annotations

import pickle
from pathlib import Path

from stable_baselines3.common.vec_env import VecNormalize


def read_statistics(path: str | Path) -> VecNormalize:
    """The ``VecNormalize`` pickled at ``path``, which must be a file whose origin is trusted.

    Raises:
        ValueError: where the file cannot be read or holds something else.
    """
    try:
        with open(path, "rb") as file:
            found = pickle.load(file)
    except Exception as error:  # A pickle may raise whatever the classes in it raise.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"vec_normalize={path} cannot be read: {reason}") from None
    if not isinstance(found, VecNormalize):
        raise ValueError(f"vec_normalize={path} holds a {type(found).__name__}, not VecNormalize")
    return found


def statistics_beside(source: Path) -> Path | None:
    """The file beside a zip that by its name holds its statistics, if there is one."""
    for name in (f"{source.stem}-vecnormalize.pkl", "vecnormalize.pkl", "vec_normalize.pkl"):
        if source.with_name(name).is_file():
            return source.with_name(name)
    return None
