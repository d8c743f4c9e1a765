"""ale-py's native vector environment behind SB3's interface; emulation and pictures are ale-py's.

Games run in threads of one process, with grey 84 x 84 pictures made in C++. What the usual wrappers
do stays: no-op starts, four frames per action, the maximum of the last two, a life lost ends an
episode but not the game, rewards clipped for learning while ``infos`` report whole games unclipped.
Stack frames with SB3's ``VecFrameStack``, which also clears them between episodes.

What differs from SB3's wrappers, and is no accident of this adapter:

- Where two different colours meet in the last two frames, the picture may differ: SB3 takes the
  maximum of colours and then their grey, ale-py the maximum of greys. Elsewhere pictures are equal.
- After a lost life SB3 presses no-op and then fire before the player sees anything; here the game
  goes on with the player's next action.
- At the start of a game SB3 presses fire and the action after it for four frames each where there
  is fire; ale-py presses fire for one frame. No-op starts have other random numbers.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

_NO_OPS = 30
_SIDE = 84


def rom_of(env_id: str) -> str:
    """ale-py's name of a game: ``PongNoFrameskip-v4`` is ``pong``, ``ALE/MsPacman-v5`` ms_pacman.

    Raises:
        ValueError: the id is not one of an Atari game.
    """
    found = re.fullmatch(r"(?:ALE/)?([A-Za-z]+?)(?:NoFrameskip|Deterministic)?-v\d+", env_id)
    if found is None:
        raise ValueError(f"env must be the id of an Atari game such as Pong-v4, got {env_id!r}")
    return re.sub(r"(?<!^)(?=[A-Z])", "_", found.group(1)).lower()


class AtariVecEnv(VecEnv):
    """``n_envs`` games of one kind, stepped together.

    Args:
        env_id: id of the game.
        n_envs: how many.
        seed: of the first game, the others follow.
        threads: how many of ale-py's threads step them; 0 lets it choose.
        sticky: chance that the emulator repeats the last action instead of the one it is given.
        training: whether a lost life ends an episode and rewards are clipped to their sign.
        no_ops: most frames of doing nothing at the start of a game.
        fire: whether games that wait for the fire button get it pressed.
    """

    def __init__(
        self,
        env_id: str,
        n_envs: int = 1,
        *,
        seed: int = 0,
        threads: int = 1,
        sticky: float = 0.0,
        training: bool = True,
        no_ops: int = _NO_OPS,
        fire: bool = True,
    ) -> None:
        from ale_py.vector_env import AtariVectorEnv
        from gymnasium.vector import AutoresetMode

        self._games = AtariVectorEnv(
            rom_of(env_id),
            n_envs,
            num_threads=threads,
            stack_num=1,
            noop_max=no_ops,
            repeat_action_probability=sticky,
            use_fire_reset=fire,
            reward_clipping=False,
            autoreset_mode=AutoresetMode.SAME_STEP,
        )
        space = spaces.Box(0, 255, (_SIDE, _SIDE, 1), np.uint8)
        self.render_mode = None
        super().__init__(n_envs, space, self._games.single_action_space)
        self._training = training
        self._seed: int | None = seed
        self._began = time.time()
        self._lives = np.zeros(n_envs, np.int64)
        self._returns = np.zeros(n_envs)
        self._frames = np.zeros(n_envs, np.int64)
        self._actions: NDArray[Any] = np.zeros(n_envs, np.int64)

    def reset(self) -> VecEnvObs:
        """Begin new games, seeded the first time and after ``seed``."""
        pictures, about = self._games.reset(seed=self._seed)
        self._seed = None
        self._lives = np.array(about["lives"], np.int64)
        self._returns[:] = 0.0
        self._frames[:] = about["episode_frame_number"]
        self.reset_infos = [{} for _ in range(self.num_envs)]
        return _channels_last(pictures)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the next ``reset``."""
        self._seed = seed
        return [None if seed is None else seed + i for i in range(self.num_envs)]

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the actions of the next step."""
        self._actions = np.asarray(actions, np.int64).reshape(self.num_envs)

    def step_wait(self) -> VecEnvStepReturn:
        """Step all games; those that are over begin anew at once."""
        pictures, rewards, terminated, truncated, about = self._games.step(self._actions)
        over = np.logical_or(terminated, truncated)
        observations = _channels_last(pictures)
        last = _channels_last(about["final_obs"]) if "final_obs" in about else observations
        lives = np.array(about["lives"], np.int64)
        # A game that is over has begun anew: its lives are those of the next one.
        lost = (lives > 0) & (lives < self._lives) & ~over
        done = over | lost if self._training else over
        self._returns += rewards
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(done):
            ended = last[i] if over[i] else observations[i]
            infos[i]["terminal_observation"] = ended.copy()
            infos[i]["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
        for i in np.flatnonzero(over):
            infos[i]["episode"] = self._finished(int(i))
        going = ~over
        self._frames[going] = np.asarray(about["episode_frame_number"])[going]
        self._frames[over] = 0
        self._returns[over] = 0.0
        self._lives = lives
        given = np.sign(rewards) if self._training else rewards
        return observations, np.asarray(given, np.float32), done, infos

    def close(self) -> None:
        """Nothing outlives the games."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """``render_mode`` alone: games are not Python objects."""
        if attr_name == "render_mode":
            return [None for _ in self._get_indices(indices)]
        raise AttributeError(f"games of AtariVecEnv have no attribute {attr_name!r}")

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Not possible."""
        raise AttributeError(f"games of AtariVecEnv have no attribute {attr_name!r} to set")

    def env_method(
        self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Not possible."""
        raise AttributeError(f"games of AtariVecEnv have no method {method_name!r}")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """They are reported on as by a Monitor, and wrapped by nothing else."""
        from stable_baselines3.common.monitor import Monitor

        return [issubclass(wrapper_class, Monitor) for _ in self._get_indices(indices)]

    def _finished(self, i: int) -> dict[str, Any]:
        """What SB3's Monitor says of a whole game; lengths are frames of the emulator."""
        seconds = round(time.time() - self._began, 6)
        # The frames of the last step are not known any more: a game may end within them.
        return {"r": float(self._returns[i]), "l": int(self._frames[i]) + 4, "t": seconds}


def _channels_last(pictures: NDArray[Any]) -> NDArray[np.uint8]:
    """(games, 1, side, side) as (games, side, side, 1), in memory of its own."""
    return np.ascontiguousarray(np.moveaxis(pictures, 1, -1))
