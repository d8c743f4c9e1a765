"""The state of one bare environment: which kinds are known, and what their whole state is."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import gymnasium
import numpy as np

Core = gymnasium.Env[Any, Any]
State = dict[str, Any]

_PLAIN = (bool, int, float, str, np.ndarray, np.generic, type(None))
_CLASSIC, _MUJOCO, _ATARI = "gymnasium.envs.classic_control", "gymnasium.envs.mujoco", "ale_py"


class Unsaveable(Exception):
    """The state of an environment cannot be saved; the message says why."""


def core_state(env: Core) -> State:
    """The whole state of ``env``, picklable.

    Raises:
        Unsaveable: where it is not known what that is.
    """
    state: State = {"generator": _generator_state(env)}
    module = type(env).__module__
    if callable(getattr(env, "state_dict", None)) and hasattr(env, "load_state_dict"):
        return {**state, "own": copy.deepcopy(env.get_wrapper_attr("state_dict")())}
    if _inside(module, _CLASSIC):
        return {**state, "attributes": _attributes(env)}
    if _inside(module, _MUJOCO):
        return {**state, "attributes": _attributes(env), "mujoco": _mujoco_state(env)}
    if _inside(module, _ATARI) and hasattr(env, "ale"):
        return {**state, "ale": env.ale.cloneState(include_rng=True)}
    name = "the environment" if env.spec is None else env.spec.id
    raise Unsaveable(f"{name} cannot save its state (it has no state_dict and load_state_dict)")


def restore_core_(env: Core, state: State) -> None:
    """Bring a freshly made environment to a state from ``core_state``."""
    if state["generator"] is not None:
        env.np_random.bit_generator.state = state["generator"]
    vars(env).update(state.get("attributes", {}))
    if "own" in state:
        env.get_wrapper_attr("load_state_dict")(state["own"])
    if "mujoco" in state:
        _restore_mujoco_(env, state["mujoco"])
    if "ale" in state:
        env.get_wrapper_attr("ale").restoreState(state["ale"])


def _inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _generator_state(env: Core) -> Any:
    # Asking for np_random would create, and so seed, a generator that nobody has used.
    return None if env._np_random is None else env._np_random.bit_generator.state


def _attributes(env: Core) -> State:
    """Attributes of an environment written in Python; others than plain values only draw it."""
    found = {name: value for name, value in vars(env).items() if _is_plain(value)}
    return copy.deepcopy(found)


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(_is_plain(item) for item in value)
    return isinstance(value, _PLAIN)


def _mujoco_state(env: Any) -> State:
    """The integration state with its warm start, and what was computed from it at the last step.

    The first decides how the simulation goes on; rewards and observations also read the second.
    """
    import mujoco

    model, data = env.model, env.data
    what = mujoco.mjtState.mjSTATE_INTEGRATION
    integration = np.empty(mujoco.mj_stateSize(model, what))
    mujoco.mj_getState(model, data, integration, what)
    derived = {name: array.copy() for name, array in _arrays(data).items()}
    return {"integration": integration, "derived": derived, "model": _digest(model)}


def _restore_mujoco_(env: Any, state: State) -> None:
    import mujoco

    model, data = env.model, env.data
    if _digest(model) != state["model"]:
        raise ValueError(
            "the MuJoCo model is not the one that the checkpoint was made with (has another "
            "version of gymnasium or mujoco been installed?)"
        )
    for name, array in _arrays(data).items():
        saved = state["derived"].get(name)
        # Lists of contacts and constraints have another length; each step makes them anew.
        if saved is not None and saved.shape == array.shape:
            array[...] = saved
    what = mujoco.mjtState.mjSTATE_INTEGRATION
    mujoco.mj_setState(model, data, state["integration"], what)


def _arrays(data: Any) -> dict[str, np.ndarray[Any, Any]]:
    public = (name for name in dir(data) if not name.startswith("_"))
    found = {name: getattr(data, name) for name in public}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, np.ndarray) and value.dtype != object
    }


def _digest(model: Any) -> str:
    import mujoco

    buffer = np.empty(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return hashlib.sha256(buffer.tobytes()).hexdigest()
