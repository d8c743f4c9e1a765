"""The 24 Atari games of the published tables, how they are played and what a frame of one is.

``<Game>-v0``: sticky actions, two to four emulator frames per step, the minimal action set. Knows
nothing of networks.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

GAMES = (
    "Alien", "Amidar", "Assault", "Asterix", "BankHeist", "BattleZone", "Boxing", "Breakout",
    "ChopperCommand", "CrazyClimber", "DemonAttack", "Freeway", "Gopher", "Hero", "Kangaroo",
    "Krull", "KungFuMaster", "MsPacman", "Pong", "PrivateEye", "Qbert", "RoadRunner", "Seaquest",
    "YarsRevenge",
)  # fmt: skip

Frames = npt.NDArray[np.uint8]


def check_game(name: str) -> None:
    """Refuse what is not one of the 24."""
    if name not in GAMES:
        near = difflib.get_close_matches(name, GAMES, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(GAMES)}"
        raise ValueError(f"games must be of the 24 published ones, got {name!r}; {hint}")


@dataclass(frozen=True)
class View:
    """What a network sees of a screen: every ``downsample``-th pixel, true grey or red alone."""

    downsample: int
    grey: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a frame."""
        return -(-210 // self.downsample), -(-160 // self.downsample)


class Game:
    """A game being played: reset and step give frames as a view of the screen shows them."""

    def __init__(self, name: str, view: View, *, seed: int) -> None:
        check_game(name)
        self.view = view
        self.env = make_env(name)
        self.actions = int(self.env.action_space.n)
        self._ale = self.env.unwrapped.ale
        self._grey = np.empty((210, 160), np.uint8)
        self._seed: int | None = seed

    def reset(self) -> Frames:
        """Begin an episode; the first one with the seed."""
        screen, _ = self.env.reset(seed=self._seed)
        self._seed = None
        return self._frame(screen)

    def step(self, action: int) -> tuple[Frames, float, bool]:
        """Frame, reward, and whether the episode ended."""
        screen, reward, ended, cut, _ = self.env.step(action)
        return self._frame(screen), float(reward), bool(ended or cut)

    def close(self) -> None:
        """Give the emulator back."""
        self.env.close()

    def _frame(self, screen: Any) -> Frames:
        by = self.view.downsample
        if not self.view.grey:
            return np.ascontiguousarray(screen[::by, ::by, 0])
        self._ale.getScreenGrayscale(self._grey)
        return np.ascontiguousarray(self._grey[::by, ::by])


def make_env(name: str) -> Any:
    """The Gymnasium environment of a game's name."""
    import ale_py
    import gymnasium

    with warnings.catch_warnings():
        # The old version is the point: the published numbers are of it.
        warnings.simplefilter("ignore")
        gymnasium.register_envs(ale_py)
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        return gymnasium.make(f"{name}-v0")


def random_play(name: str, view: View, *, seed: int) -> Generator[Frames, None, None]:
    """Frames of seeded random actions without end."""
    game = Game(name, view, seed=seed)
    rng = np.random.default_rng(seed)
    try:
        yield game.reset()
        while True:
            frame, _, ended = game.step(int(rng.integers(game.actions)))
            yield frame
            if ended:
                yield game.reset()
    finally:
        game.close()


def record(name: str, view: View, *, count: int, seed: int) -> Frames:
    """``count`` consecutive frames of random play: [count, height, width]."""
    frames = np.empty((count, *view.shape), np.uint8)
    play = random_play(name, view, seed=seed)
    for k in range(count):
        frames[k] = next(play)
    play.close()
    return frames
