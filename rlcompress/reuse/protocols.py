"""How the contenders are timed: on recorded frames, in the published loop, in training.

A cell is one game with one network; what it gives is a row of plain numbers. Reads no energy
itself, and writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from rlcompress.reuse.arms import POLICIES, Policy, Shape, draw, forward_arm, policy_arm
from rlcompress.reuse.games import Frames, Game, View, record
from rlcompress.reuse.reinforce import sample

BLOCK = 20
"""Frames that an arm gets before it is the next one's turn."""

Read = Callable[[], dict[str, float]]
"""Counters that only grow, by name."""


@dataclass(frozen=True)
class Cell:
    """One entry of a table; ``skip`` steps of random play come before what is measured."""

    protocol: str
    game: str
    downsample: int
    filters: int
    steps: int
    seed: int = 0
    repetition: int = 0
    update_every: int = 1000
    skip: int = 0

    def key(self) -> dict[str, Any]:
        """What tells this cell from every other one."""
        found: dict[str, Any] = dict(self.__dict__)
        if self.protocol != "training":
            del found["update_every"]
        return found


@dataclass
class Stopwatch:
    """Sums of counters over the blocks of work of one arm."""

    read: Read
    spent: dict[str, float] = field(default_factory=dict)
    steps: int = 0

    def __enter__(self) -> None:
        self._before = self.read()

    def __exit__(self, *_: object) -> None:
        for name, value in self.read().items():
            self.spent[name] = self.spent.get(name, 0.0) + value - self._before[name]

    def row(self) -> dict[str, float]:
        """Per step: microseconds of the processor and by the clock, and microjoules."""
        return {name: round(value / max(self.steps, 1), 2) for name, value in self.spent.items()}


def clocks() -> dict[str, float]:
    """Microseconds of this process on the processor and by the clock; waits for a GPU."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    return {"cpu_us": time.process_time() * 1e6, "wall_us": time.perf_counter() * 1e6}


def net_only(cell: Cell, arms: Sequence[str], read: Read = clocks) -> dict[str, Any]:
    """The same recorded frames in true grey for every arm, in turns, in inference."""
    view = View(cell.downsample, grey=True)
    seed = cell.seed + cell.repetition
    frames = record(cell.game, view, count=cell.skip + cell.steps + 1, seed=seed)[cell.skip :]
    shape = Shape(cell.filters, view.shape, _actions(cell.game), seed)
    forwards = {name: forward_arm(name, shape) for name in arms}
    watches = {name: Stopwatch(read) for name in arms}
    outputs: dict[str, list[torch.Tensor]] = {name: [] for name in arms}
    with torch.no_grad():
        for forward in forwards.values():
            forward(frames[0])
        for start in range(1, len(frames), BLOCK):
            for name, forward in forwards.items():
                block = frames[start : start + BLOCK]
                with watches[name]:
                    found = [forward(frame) for frame in block]
                watches[name].steps += len(block)
                outputs[name] += [one.reshape(-1).cpu() for one in found]
    row: dict[str, Any] = {"arms": {name: watch.row() for name, watch in watches.items()}}
    return row | _agreement({name: torch.stack(found) for name, found in outputs.items()})


def _agreement(outputs: dict[str, torch.Tensor]) -> dict[str, Any]:
    """How far logits lie apart, and whether ours are the same bits with and without reuse."""
    found: dict[str, Any] = {}
    if "eager" in outputs:
        base = outputs["eager"]
        scale = float(base.abs().max())
        for name in ("original", "ours"):
            if name in outputs:
                found[f"{name}_deviation"] = float((outputs[name] - base).abs().max()) / scale
    if {"ours", "ours_dense"} <= set(outputs):
        found["same_bits"] = torch.equal(outputs["ours"], outputs["ours_dense"])
    return found


def _actions(game: str) -> int:
    played = Game(game, View(4, grey=False), seed=0)
    played.close()
    return played.actions


def in_loop(cell: Cell, arms: Sequence[str], read: Read = clocks) -> dict[str, Any]:
    """The published loop: environment, red channel and sampling inside; each arm plays alone."""
    return {"arms": {name: _alone(cell, name, _act_loop, read) for name in arms}}


def training(cell: Cell, arms: Sequence[str], read: Read = clocks) -> dict[str, Any]:
    """The published loop with updates at episodes' ends, every ``update_every`` steps at most.

    And at the last step, so that no recorded graph is thrown away.
    """
    chosen = [name for name in arms if name.removesuffix("_gpu") in POLICIES]
    return {"arms": {name: _alone(cell, name, _training_loop, read) for name in chosen}}


def _alone(
    cell: Cell, name: str, loop: Callable[..., dict[str, float]], read: Read
) -> dict[str, float]:
    seed = cell.seed + cell.repetition
    game = Game(cell.game, View(cell.downsample, grey=False), seed=seed)
    shape = Shape(cell.filters, game.view.shape, game.actions, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        found = loop(cell, name, shape, game, Stopwatch(read))
    game.close()
    return found


def _act_loop(
    cell: Cell, name: str, shape: Shape, game: Game, watch: Stopwatch
) -> dict[str, float]:
    forward = forward_arm(name, shape)
    rng = np.random.default_rng(shape.seed)
    choose = _draw_numpy(rng) if name.startswith("ours") else _draw_published
    kept: list[Any] = []
    rewards: list[float] = []
    frame = warmed_up(game, cell)
    with torch.no_grad():
        forward(frame)
        with watch:
            for _ in range(cell.steps):
                frame, reward, ended = game.step(choose(forward(frame), kept))
                rewards.append(reward)
                if ended:
                    frame = game.reset()
    watch.steps = cell.steps
    return watch.row()


def warmed_up(game: Game, cell: Cell) -> Frames:
    """The frame after so many random steps as are to be skipped."""
    rng = np.random.default_rng(cell.seed + cell.repetition)
    frame = game.reset()
    for _ in range(cell.skip):
        frame, _, ended = game.step(int(rng.integers(game.actions)))
        if ended:
            frame = game.reset()
    return frame


def _draw_published(logits: torch.Tensor, kept: list[Any]) -> int:
    action, log_p = draw(logits)
    kept.append(log_p)
    return action


def _draw_numpy(rng: np.random.Generator) -> Callable[[torch.Tensor, list[Any]], int]:
    def drawn(logits: torch.Tensor, kept: list[Any]) -> int:
        found = logits.reshape(-1).cpu().numpy()
        kept.append(found)  # as good as the logarithm, and nobody reads it in inference
        return sample(found, rng)

    return drawn


def _training_loop(
    cell: Cell, name: str, shape: Shape, game: Game, watch: Stopwatch
) -> dict[str, float]:
    policy: Policy = policy_arm(name, shape)
    frame, updates, waiting = warmed_up(game, cell), 0, 0
    with watch:
        for step in range(1, cell.steps + 1):
            frame, reward, ended = _one_step(policy, frame, game)
            policy.rewarded(reward, ended)
            waiting += 1
            if ended or waiting == cell.update_every or step == cell.steps:
                policy.update_()
                updates, waiting = updates + 1, 0
            if ended:
                frame = game.reset()
    watch.steps = cell.steps
    return watch.row() | {"updates": updates}


def _one_step(policy: Policy, frame: Frames, game: Game) -> tuple[Frames, float, bool]:
    return game.step(policy.act(frame))


PROTOCOLS: dict[str, Callable[..., dict[str, Any]]] = {
    "net": net_only,
    "loop": in_loop,
    "training": training,
}
