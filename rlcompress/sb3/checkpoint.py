"""Writes models as zips that plain SB3 loads anywhere, and reads SB3 zips of any supported kind.

An SB3 zip is a pickle inside: open only files whose origin you trust.
"""

from __future__ import annotations

import base64
import copy
import importlib
import io
import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer

from rlcompress.quantization import state
from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.quantise import make_quantised_
from rlcompress.spec import QuantSpec

SMALL_BUFFER = 1
"""Transitions a loaded model makes room for: SB3 rebuilds the buffer it was saved with on load."""

ENTRY = "rlcompress.json"
"""Name of our entry in the zip; SB3 ignores entries it does not know."""

_CLASSES = {
    "stable_baselines3.sac": ("stable_baselines3", "SAC"),
    "stable_baselines3.td3": ("stable_baselines3", "TD3"),
    "stable_baselines3.dqn": ("stable_baselines3", "DQN"),
    "sb3_contrib.tqc": ("sb3_contrib", "TQC"),
    "sb3_contrib.qrdqn": ("sb3_contrib", "QRDQN"),
}
"""Algorithms whose policies live in a module of their own."""

_TELLING = {
    "clip_range": ("stable_baselines3", "PPO"),
    "cg_max_steps": ("sb3_contrib", "TRPO"),
    "vf_coef": ("stable_baselines3", "A2C"),
}
"""Algorithms that share their policies, by a setting that the ones after them lack."""

_CONSTANT = re.compile(r"ConstantSchedule\(val=([-+0-9.e]+)\)")
"""A schedule that has one value, as a zip says beside the pickled one."""

_HARMLESS: dict[str, float | None] = {
    "learning_rate": 0.0,
    "clip_range": 0.2,
    "clip_range_vf": None,
}
"""Settings that may be schedules, and what stands in for one whose code is not run."""


def save(model: BaseAlgorithm) -> bytes:
    """The zip of ``model``: without its buffer's size and class, with how it is quantised."""
    light = copy.copy(model)
    if hasattr(model, "replay_buffer_class"):
        fields = {
            "buffer_size": SMALL_BUFFER * model.n_envs,
            "replay_buffer_class": ReplayBuffer,
            "replay_buffer_kwargs": {},
            "optimize_memory_usage": False,
        }
        light.__dict__.update(fields)
    stream = io.BytesIO()
    light.save(stream)
    actor = actor_of(model)
    # The algorithm's own name, also where a subclass trains it.
    content: dict[str, Any] = {"algorithm": actor.algorithm}
    root = actor.root
    spec = state.spec_of(root)
    if spec is not None:
        content["quantisation"] = {"spec": asdict(spec), "quantizers": state.state_dict(root)}
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(ENTRY, json.dumps(content))
    return stream.getvalue()


def load(
    path: Path | str, device: str = "cpu", *, custom_objects: Mapping[str, Any] | None = None
) -> BaseAlgorithm:
    """The model in an SB3 zip, whatever its algorithm, quantised again where it was.

    ``custom_objects`` stand in for entries of the zip, as in SB3's own ``load``.

    Raises:
        ValueError: where the file is not an SB3 zip or its algorithm is not supported.
    """
    path = Path(path)
    data, extra = _describe(path)
    package, name = _class_of(data, extra, path)
    try:
        algorithm = getattr(importlib.import_module(package), name)
    except ImportError:
        raise ValueError(f"{path} holds a {name} model; install {package} to read it") from None
    custom = _replaced(data) | dict(custom_objects or {})
    try:
        model: BaseAlgorithm = algorithm.load(path, device=device, custom_objects=custom)
    except Exception as error:  # What is wrong inside a zip raises whatever its reader raises.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{path} cannot be loaded as {name}: {reason:.300}") from error
    if "quantisation" in extra:
        _quantise(model, extra["quantisation"])
    return model


def _replaced(data: Mapping[str, Any]) -> dict[str, Any]:
    """What is not taken from the zip as it stands.

    Older zips hold spaces of ``gym``, which ``gymnasium`` replaces, and schedules as byte code of
    their Python version, which only training needs.
    """
    custom: dict[str, Any] = {"lr_schedule": None, "exploration_schedule": None}
    schedules = _schedules(data)
    custom |= schedules | _stand_ins(schedules)
    for name in ("observation_space", "action_space"):
        custom[name] = _space(data, name)
    if "replay_buffer_class" in data:
        custom |= {"replay_buffer_class": ReplayBuffer, "replay_buffer_kwargs": {}}
        custom |= {"buffer_size": SMALL_BUFFER * int(data.get("n_envs", 1))}
        custom |= {"optimize_memory_usage": False}
    return custom


def _schedules(data: Mapping[str, Any]) -> dict[str, float | None]:
    """The one value of each schedule in a zip, None where it does not say that it has one."""
    found: dict[str, float | None] = {}
    for name in _HARMLESS:
        entry = data.get(name)
        if isinstance(entry, dict):
            constant = _CONSTANT.fullmatch(str(entry.get("value_schedule")))
            found[name] = float(constant[1]) if constant else None
    return found


def _stand_ins(schedules: Mapping[str, float | None]) -> dict[str, float | None]:
    """What takes the place of the schedules that are not read."""
    return {name: _HARMLESS[name] for name, value in schedules.items() if value is None}


def replaced_schedules(path: Path | str) -> dict[str, float | None]:
    """Schedules in an SB3 zip that ``load`` does not read, with the value that it puts there.

    Raises:
        ValueError: where the file is not an SB3 zip.
    """
    return _stand_ins(_schedules(_describe(Path(path))[0]))


class GymReader(pickle.Unpickler):
    """Reads what was pickled with ``gym`` as ``gymnasium``, which took over its layout."""

    def find_class(self, module: str, name: str) -> Any:
        """The class of that name, of the package that there is today."""
        if module == "gym" or module.startswith("gym."):
            module = module.replace("gym", "gymnasium", 1)
        return super().find_class(module, name)


def _space(data: Mapping[str, Any], name: str) -> Any:
    try:
        return GymReader(io.BytesIO(base64.b64decode(data[name][":serialized:"]))).load()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"cannot read the {name} in this zip ({reason})") from None


def _is_ddpg(data: Mapping[str, Any], extra: Mapping[str, Any]) -> bool:
    """Whether this is TD3 with the settings that make it DDPG, whose policy is TD3's own."""
    if "algorithm" in extra:
        return bool(extra["algorithm"] == "DDPG")
    critics = (data.get("policy_kwargs") or {}).get("n_critics")
    one_step = data.get("policy_delay") == 1 and data.get("target_noise_clip") == 0.0
    return one_step and str(critics) == "1"


def _quantise(model: BaseAlgorithm, content: Mapping[str, Any]) -> None:
    fields = {**content["spec"], "skip": tuple(content["spec"]["skip"])}
    make_quantised_(model, QuantSpec(**fields))
    state.load_state_dict_(actor_of(model).root, content["quantizers"])


def _describe(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            data = json.loads(archive.read("data"))
            extra = json.loads(archive.read(ENTRY)) if ENTRY in archive.namelist() else {}
    except FileNotFoundError:
        raise ValueError(f"no file {path}") from None
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError, UnicodeDecodeError, OSError):
        raise ValueError(f"{path} is not a Stable-Baselines3 zip (or it is damaged)") from None
    return data, extra


def _class_of(data: dict[str, Any], extra: dict[str, Any], path: Path) -> tuple[str, str]:
    """Package and name of the algorithm; SB3 does not store it, so its settings must tell."""
    module = str(data.get("policy_class", {}).get("__module__", ""))
    if "recurrent" in module:
        raise ValueError(
            f"{path} holds a recurrent (LSTM) policy: unsupported, it carries a state between steps"
        )
    for prefix, found in _CLASSES.items():
        if module.startswith(prefix + "."):
            return ("stable_baselines3", "DDPG") if _is_ddpg(data, extra) else found
    if extra.get("algorithm") in ("PPO", "A2C"):
        return "stable_baselines3", str(extra["algorithm"])
    if not module.startswith("sb3_contrib."):
        for telling, found in _TELLING.items():
            if telling in data:
                return found
    raise ValueError(
        f"{path} holds an unsupported policy (of {module or 'no module'}); these algorithms work: "
        "SAC, TD3, DDPG, DQN, PPO, A2C, TQC, QRDQN, TRPO"
    )
