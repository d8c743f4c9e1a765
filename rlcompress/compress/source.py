"""Loads what is to be compressed and makes sure that it and its environment belong together."""

from __future__ import annotations

import base64
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize

from rlcompress.quantization.state import is_prepared
from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.checkpoint import GymReader, load
from rlcompress.sb3.env_spec import EnvSpec
from rlcompress.sb3.observations import as_seen

WARNING = (
    "is a pickle inside: opening it runs whatever code its author put there, so open only files "
    "whose origin you trust"
)

_NEEDED = ("policy_class", "policy_kwargs", "observation_space", "action_space")
"""Entries of a zip that nothing can stand in for."""

_HANDLED = (
    "observation_space",
    "action_space",
    "learning_rate",
    "lr_schedule",
    "clip_range",
    "clip_range_vf",
    "exploration_schedule",
    "replay_buffer_class",
)
"""Entries that ``load`` reads in its own way, or replaces."""


def load_model(path: Path, device: str, say: Callable[[str], None]) -> BaseAlgorithm:
    """The trained model in an SB3 zip of any age.

    Raises:
        ValueError: not a zip of a supported algorithm, or a class in it cannot be imported.
    """
    if not path.is_file():
        raise ValueError(f"model={path} is no file; name a Stable-Baselines3 zip")
    say(f"{path} {WARNING}")
    return read_model(path, device)


def read_model(path: Path, device: str) -> BaseAlgorithm:
    """The same without a word, for the copies that are made of a model."""
    replaced = _replaced(path)
    try:
        model = load(path, device, custom_objects=replaced)
    except ValueError:
        raise
    except Exception as error:
        # A pickle can fail in any way there is.
        raise ValueError(
            f"model={path} cannot be loaded ({type(error).__name__}: {error}); load it where it "
            "was trained, with custom_objects={name: replacement} for what the message names, "
            "save it again and compress that zip"
        ) from None
    if is_prepared(actor_of(model).root):
        raise ValueError(f"model={path} is quantised already; compress the model it came from")
    return model


def _replaced(path: Path) -> dict[str, Any]:
    """Entries of the zip that no longer load and that inference does not need, as None.

    Raises:
        ValueError: an entry that is needed does not load; says which ``custom_objects`` to pass.
    """
    found: dict[str, Any] = {}
    for name, why in _broken(path).items():
        if name in _NEEDED:
            raise ValueError(
                f"model={path}: {name} in this zip cannot be loaded ({why}); make the class it "
                f"names importable, or load the zip with custom_objects={{{name!r}: ...}}, save it "
                "again and compress that zip"
            )
        found[name] = None
    return found


def _broken(path: Path) -> dict[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            data: Mapping[str, Any] = json.loads(archive.read("data"))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError):
        return {}  # Whoever loads it says what is wrong with the file.
    found: dict[str, str] = {}
    for name, entry in data.items():
        packed = entry.get(":serialized:") if isinstance(entry, dict) else None
        if packed is None or name in _HANDLED:
            continue
        try:
            pickle.loads(base64.b64decode(packed))
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


def load_statistics(path: Path, model: BaseAlgorithm) -> VecNormalize:
    """The statistics that a model's observations were normalised with."""
    try:
        found = GymReader(io.BytesIO(path.read_bytes())).load()
    except Exception as error:
        raise ValueError(f"vecnormalize={path} cannot be read: {error}") from None
    if not isinstance(found, VecNormalize):
        raise ValueError(f"vecnormalize={path} holds a {type(found).__name__}, not VecNormalize")
    shape = getattr(getattr(found, "obs_rms", None), "mean", np.zeros(0)).shape
    if found.norm_obs and shape != model.observation_space.shape:
        raise ValueError(
            f"vecnormalize={path} is for observations of shape {shape}, the model's have "
            f"{model.observation_space.shape}"
        )
    found.training = False
    return found


def check_pair(model: BaseAlgorithm, spec: EnvSpec) -> None:
    """Raise ValueError where the model cannot play in the environment."""
    ours, theirs = model.observation_space.shape, spec.observation_space.shape
    assert ours is not None
    if theirs != ours and (spec.kind != "image" or (theirs[2], *theirs[:2]) != ours):
        raise ValueError(
            f"env={spec.env_id} gives observations of shape {theirs}, but the model was trained "
            f"on {ours}; name the environment it was trained in"
        )
    if not _same_actions(model.action_space, spec.action_space):
        raise ValueError(
            f"env={spec.env_id} takes actions of {spec.action_space}, but the model gives "
            f"{model.action_space}; name the environment it was trained in"
        )


def _same_actions(ours: spaces.Space[Any], theirs: spaces.Space[Any]) -> bool:
    if isinstance(ours, spaces.Discrete) and isinstance(theirs, spaces.Discrete):
        return bool(ours.n == theirs.n)
    if isinstance(ours, spaces.Box) and isinstance(theirs, spaces.Box):
        return ours.shape == theirs.shape and bool(
            np.allclose(ours.low, theirs.low) and np.allclose(ours.high, theirs.high)
        )
    return False


def load_observations(
    path: Path, model: BaseAlgorithm, statistics: VecNormalize | None
) -> NDArray[Any]:
    """Recorded observations, as the environment gave them, of a ``.npz`` (or ``.npy``) file.

    Raises:
        ValueError: no such file, no such array in it, or observations of another shape.
    """
    try:
        with open(path, "rb") as file:
            loaded = np.load(file, allow_pickle=False)
            found = loaded if isinstance(loaded, np.ndarray) else _array(path, loaded)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"observations={path} cannot be read: {error}") from None
    if found.ndim < 2 or not np.issubdtype(found.dtype, np.number):
        raise ValueError(
            f"observations={path} must be numbers of shape (observations, ...), got {found.dtype} "
            f"of shape {found.shape}"
        )
    if len(found) < 2:
        raise ValueError(f"observations={path} holds {len(found)} observations; give thousands")
    if not np.isfinite(found).all():
        raise ValueError(f"observations={path} holds numbers that are not finite")
    dtype = model.observation_space.dtype
    found = found.astype(dtype if dtype == np.uint8 else np.float32)
    as_seen(model, found[:1], statistics)
    return found


def _array(path: Path, archive: Any) -> NDArray[Any]:
    names = list(archive.files)
    chosen = next((n for n in ("observations", "obs") if n in names), None)
    if chosen is None and len(names) == 1:
        chosen = names[0]
    if chosen is None:
        raise ValueError(f"it needs an array named 'observations', it has {', '.join(names)}")
    found: NDArray[Any] = archive[chosen]
    return found
