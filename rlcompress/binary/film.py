"""One episode to look at: on the display where there is one, else as a gif; judges nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rlcompress.binary.policy import BinaryPolicy

_FRAMES = 500
_SCALE = 2  # Every second frame and pixel.


def show_episode(env_id: str, policy: BinaryPolicy, path: Path, *, seed: int) -> str:
    """Play an episode; returns where it can be seen.

    Raises:
        ValueError: where the environment cannot be drawn here.
    """
    if _has_display():
        try:
            _play(env_id, policy, "human", seed)
            return "the display"
        except Exception:  # A display that cannot be opened after all.
            pass
    frames = _play(env_id, policy, "rgb_array", seed)
    _write_gif(frames, path)
    return str(path)


def _has_display() -> bool:
    try:
        import pygame

        pygame.display.init()
        driver = pygame.display.get_driver()
        pygame.display.quit()
    except Exception:
        return False
    return driver not in ("dummy", "offscreen")


def _play(env_id: str, policy: BinaryPolicy, mode: str, seed: int) -> list[Any]:
    try:
        env = gym.make(env_id, render_mode=mode)
        observation, _ = env.reset(seed=seed)
        frames: list[Any] = []
        done = False
        while not done and len(frames) < _FRAMES:
            frames.append(env.render())
            action = policy.act(np.asarray(observation, np.float32)[None])[0]
            observation, _, ended, cut, _ = env.step(action)
            done = ended or cut
        env.close()
    except gym.error.Error as error:
        raise ValueError(f"draw_every: {env_id} cannot be drawn here ({error})") from None
    return frames


def _write_gif(frames: list[Any], path: Path) -> None:
    from PIL import Image

    pictures = [Image.fromarray(frame[::_SCALE, ::_SCALE]) for frame in frames[::_SCALE]]
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40, loop=0)
