"""What an environment id stands for, exactly: spaces, frame skip, stacking; makes it to look only.

Also says which algorithm and which network suit the spaces.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first

from rlcompress.sb3.env_ids import make_bare, registered

Kind = Literal["vector", "image"]

ATARI_SKIP = 4
ATARI_NOOPS = 30
ATARI_SIDE = 84
FRAME_STACK = 4

_WORKS = "what works: Box vectors, uint8 images in 0..255 with channels last"


@dataclass(frozen=True)
class EnvSpec:
    """The environment that an id stands for here, decided and ready to be made.

    ``observation_space`` is what a policy sees: images are (height, width, channels x
    ``frame_stack``), newest channels last. ``make_options`` go to ``gymnasium.make``. For Atari
    ``own_skip`` is how many frames the id itself would skip; it is switched off underneath, and
    ``frame_skip`` frames pass per action.
    """

    env_id: str
    kind: Kind
    observation_space: spaces.Box
    action_space: spaces.Box | spaces.Discrete
    atari: bool = False
    frame_skip: int = 1
    frame_stack: int = 1
    own_skip: int | tuple[int, int] = 1
    sticky: float = 0.0
    flatten: bool = False
    max_episode_steps: int | None = None
    make_options: dict[str, Any] = field(default_factory=dict)

    @property
    def protocol(self) -> str:
        """What happens between the id and the policy, in a few sentences to print."""
        return _atari_protocol(self) if self.atari else _plain_protocol(self)


def describe(env_id: str) -> EnvSpec:
    """Find out what ``env_id`` is by making it once.

    Raises:
        ValueError: unknown id, missing package, or a space that nothing here can learn from.
    """
    registration = registered(env_id)
    if str(registration.entry_point).startswith("ale_py"):
        return _describe_atari(env_id, registration.kwargs)
    env = make_bare(env_id)
    observation_space, action_space = env.observation_space, env.action_space
    env.close()
    observation = _observation(env_id, observation_space)
    image, flatten = is_image_space(observation), False
    if image:
        observation = _stacked(observation)
    elif len(observation.shape) != 1:
        flatten = True
        observation = spaces.Box(
            observation.low.reshape(-1),
            observation.high.reshape(-1),
            dtype=observation.dtype.type,
        )
    return EnvSpec(
        env_id,
        "image" if image else "vector",
        observation,
        _action(env_id, action_space),
        frame_stack=FRAME_STACK if image else 1,
        flatten=flatten,
        max_episode_steps=registration.max_episode_steps,
    )


def _describe_atari(env_id: str, registered_options: dict[str, Any]) -> EnvSpec:
    _require_cv2(env_id)
    # Wrappers skip frames and take the maximum over the last two; an id that skips by itself
    # would leave 16 frames between actions and nothing sensible to take a maximum over.
    options = {"frameskip": 1}
    env = make_bare(env_id, options)
    bare, actions = env.observation_space, env.action_space
    env.close()
    if not isinstance(bare, spaces.Box) or len(bare.shape) != 3:
        raise ValueError(
            f"env={env_id} must give RGB frames, got {bare}; register it with obs_type='rgb'"
        )
    frame = spaces.Box(0, 255, (ATARI_SIDE, ATARI_SIDE, 1), np.uint8)
    if not isinstance(actions, spaces.Discrete):
        raise ValueError(
            f"env={env_id} must have Discrete actions; register it with continuous=False"
        )
    return EnvSpec(
        env_id,
        "image",
        _stacked(frame),
        actions,
        atari=True,
        frame_skip=ATARI_SKIP,
        frame_stack=FRAME_STACK,
        own_skip=registered_options.get("frameskip", 4),
        sticky=float(registered_options.get("repeat_action_probability", 0.25)),
        make_options=options,
    )


def _require_cv2(env_id: str) -> None:
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"env={env_id} needs OpenCV to resize frames: pip install opencv-python-headless"
        ) from error


def _stacked(space: spaces.Box) -> spaces.Box:
    low = np.repeat(space.low, FRAME_STACK, axis=-1)
    high = np.repeat(space.high, FRAME_STACK, axis=-1)
    return spaces.Box(low, high, dtype=space.dtype.type)


def _observation(env_id: str, space: spaces.Space[Any]) -> spaces.Box:
    if not isinstance(space, spaces.Box):
        raise ValueError(
            f"env={env_id} has observations of an unsupported space, "
            f"{type(space).__name__}; {_WORKS}"
        )
    if is_image_space(space) and is_image_space_channels_first(space):
        raise ValueError(
            f"env={env_id} has images of shape {space.shape}, with channels first; {_WORKS}"
        )
    if len(space.shape) == 3 and not is_image_space(space, check_channels=True):
        raise ValueError(
            f"env={env_id} has observations of shape {space.shape}, {space.dtype} in "
            f"{space.low.min()}..{space.high.max()}; {_WORKS}"
        )
    return space


def _action(env_id: str, space: spaces.Space[Any]) -> spaces.Box | spaces.Discrete:
    algorithm_for(space, env_id)
    assert isinstance(space, (spaces.Box, spaces.Discrete))
    return space


def algorithm_for(action_space: spaces.Space[Any], env_id: str = "") -> Literal["sac", "dqn"]:
    """The algorithm that suits an action space: SAC for Box, DQN for Discrete.

    Raises:
        ValueError: the space is of another kind, unbounded, not of floats, or does not start at 0.
    """
    prefix = f"env={env_id}: " if env_id else ""
    works = "what works: Box of bounded floats (algo=sac), Discrete from 0 (algo=dqn)"
    if isinstance(action_space, spaces.Discrete):
        if action_space.start != 0:
            raise ValueError(f"{prefix}Discrete actions start at {action_space.start}; {works}")
        return "dqn"
    if not isinstance(action_space, spaces.Box):
        name = type(action_space).__name__
        raise ValueError(f"{prefix}unsupported action space {name}; {works}")
    if not np.issubdtype(action_space.dtype, np.floating):
        raise ValueError(f"{prefix}Box actions are of type {action_space.dtype}; {works}")
    if not (np.isfinite(action_space.low).all() and np.isfinite(action_space.high).all()):
        raise ValueError(f"{prefix}Box actions are unbounded, {action_space}; {works}")
    return "sac"


def network_for(observation_space: spaces.Space[Any]) -> Literal["mlp", "nature_cnn"]:
    """The network that suits an observation space: NatureCNN for images, an MLP for vectors."""
    return "nature_cnn" if is_image_space(observation_space) else "mlp"


def _plain_protocol(spec: EnvSpec) -> str:
    shape = "x".join(str(n) for n in spec.observation_space.shape)
    parts = [f"{spec.env_id}: observations {shape} {spec.observation_space.dtype}"]
    if spec.kind == "image":
        parts.append(f"{spec.frame_stack} stacked frames, newest last")
    if spec.flatten:
        parts.append("flattened to a vector")
    limit = spec.max_episode_steps
    parts.append("no time limit of its own" if limit is None else f"at most {limit} steps")
    return ", ".join(parts)


def _atari_protocol(spec: EnvSpec) -> str:
    if spec.own_skip == 1:
        own = "the id skips no frames itself"
    else:
        low_high = spec.own_skip
        amount = (
            f"{low_high[0]} to {low_high[1] - 1} frames at random"
            if isinstance(low_high, tuple)
            else f"{low_high} frames"
        )
        own = f"the id's own skip of {amount} is switched off"
    sticky = (
        f"sticky actions with probability {spec.sticky:g}" if spec.sticky else "no sticky actions"
    )
    same = ""
    if spec.own_skip != 1 and not spec.sticky and "/" not in spec.env_id:
        name, _, version = spec.env_id.rpartition("-")
        same = f" The same as {name}NoFrameskip-{version}, what the paper means by {spec.env_id}."
    return (
        f"{spec.env_id}: {own}; the wrappers skip {spec.frame_skip} (maximum of the last two), "
        f"{sticky}, up to {ATARI_NOOPS} no-ops at the start, fire where a game waits for it, "
        f"{ATARI_SIDE}x{ATARI_SIDE} gray, {spec.frame_stack} stacked. Training: an episode ends "
        f"with a life, rewards clipped to -1, 0, 1. Evaluation: whole games, unclipped.{same}"
    )
