"""One policy playing one environment, step by step, timed and drawn; opens and shows nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rlcompress.evaluation.video import Pane

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv


@dataclass
class Spent:
    """Seconds by what they were spent on."""

    emulator: float = 0.0
    network: float = 0.0
    drawing: float = 0.0


@dataclass
class Player:
    """One policy in an environment of its own, with what it has done so far."""

    title: str
    predict: Callable[..., tuple[Any, Any]]
    env: VecEnv
    observation: Any = None
    frame: Any = None
    finished: bool = False
    total: float = 0.0
    steps: int = 0
    returns: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)

    def begin(self) -> None:
        """Start the next episode."""
        if self.observation is None:
            self.observation = self.env.reset()
        self.finished, self.total, self.steps = False, 0.0, 0

    def step(self) -> None:
        """One action, timed."""
        start = time.perf_counter()
        action, _ = self.predict(self.observation, deterministic=True)
        chosen = time.perf_counter()
        self.observation, rewards, dones, infos = self.env.step(action)
        self.spent.network += chosen - start
        self.spent.emulator += time.perf_counter() - chosen
        self.total += float(rewards[0])
        self.steps += 1
        if dones[0]:
            monitored = infos[0].get("episode")
            self.end(self.total if monitored is None else float(monitored["r"]))

    def end(self, return_: float) -> None:
        """Account for an episode, whole or cut short."""
        self.finished = True
        self.returns.append(return_)
        self.lengths.append(self.steps)

    def draw(self) -> Pane:
        """The picture of now; of an ended episode the last one that was drawn."""
        start = time.perf_counter()
        if not self.finished or self.frame is None:
            frame = self.env.env_method("render", indices=[0])[0]
            if not isinstance(frame, np.ndarray) or frame.ndim != 3:
                raise ValueError(f"render() gave {type(frame).__name__}, not a picture")
            self.frame = frame
        self.spent.drawing += time.perf_counter() - start
        about = (
            f"return {self.returns[-1] if self.finished else self.total:.1f}, {self.steps} steps"
        )
        return Pane(self.frame, self.title, about + (", ended" if self.finished else ""))
