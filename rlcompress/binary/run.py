"""One run: search, checkpoints handed out, what is written of it; knows no command line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.file import write_bytes
from rlcompress.binary.assemble import Parts
from rlcompress.binary.board import Board
from rlcompress.binary.evolution import Generation
from rlcompress.binary.film import show_episode
from rlcompress.binary.network import Bytes, from_flat
from rlcompress.binary.policy import GOLDEN, BinaryPolicy
from rlcompress.binary.settings import Settings

LINE_EVERY_S = 2.0
VARIANT = "binary"
CHECKPOINTS = {"map": "last", "best": "best"}
"""The search's last word is MAP; the best is the individual that had the highest mean return."""


class Run:
    """The generations of one search and its end; ``save`` keeps a state, whenever one is due."""

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        directory: Path,
        save: Callable[[int, bytes], object],
        say: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.parts = parts
        self.directory = directory
        self._save = save
        self._say = say
        self._said = self._began = time.monotonic()
        self._before = parts.evolution.steps
        self.stop: float | None = None

    def resume_(self, state: bytes) -> None:
        """Go on from a saved state; lines of later generations are cut off."""
        evolution = self.parts.evolution
        evolution.load_state_(state)
        self._before = evolution.steps
        path = self.directory / "eval.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if json.loads(line)["generation"] <= evolution.generation]
        self.stop = json.loads(kept[-1])["stop"] if kept else None
        write_bytes(path, "".join(f"{line}\n" for line in kept).encode())

    def train(self, stopped: Callable[[], bool]) -> None:
        """Generations until the last, until MAP is good enough, or until it is stopped."""
        settings, evolution = self.settings, self.parts.evolution
        board = Board(self.directory, every=settings.board_every, generation=evolution.generation)
        try:
            with (self.directory / "eval.jsonl").open("a") as lines:
                while evolution.generation < settings.generations and self.stop is None:
                    generation = evolution.step()
                    board.show(generation, evolution)
                    lines.write(json.dumps(self._line(generation)) + "\n")
                    lines.flush()
                    self._tell(generation)
                    self._draw(generation)
                    self.stop = generation.stop
                    ended = stopped() or self.stop is not None
                    if ended or generation.number % settings.checkpoint_every == 0:
                        self._save(generation.number, evolution.state())
                    if ended:
                        break
        finally:
            board.close()

    def conclude(self) -> dict[str, Any]:
        """Play MAP and the best individual anew, freeze MAP; the summary."""
        evolution, episodes = self.parts.evolution, self.settings.final_episodes
        policy = self._policy(evolution.search.mode)
        frozen = self._freeze(policy)
        frozen.save(self.directory / "actor.rlc")
        sizes = frozen.summary()
        rows = []
        for which, weights in (("map", evolution.search.mode), ("best", evolution.best)):
            returns = evolution.play(weights, episodes).returns[0]
            rows.append(
                {
                    "network": which,
                    "variant": VARIANT,
                    "checkpoint": CHECKPOINTS[which],
                    "step": evolution.steps,
                    "return_mean": float(returns.mean()),
                    "return_std": float(returns.std()),
                    "episodes": episodes,
                    "weights": sizes["weights"],
                    "weights_kept": sizes["kept"],
                    "paper_factor": sizes["paper_factor"],
                    "size_bytes": sizes["policy_bytes"],
                    "honest_factor": sizes["honest_factor"],
                }
            )
        return {
            "env": self.settings.env,
            "algo": "nes",
            "network": "-".join(map(str, evolution.widths)),
            "sparsity": 0.0,
            "quant": VARIANT,
            "seed": self.settings.seed,
            "total_timesteps": evolution.steps,
            "length": evolution.steps,
            "widths": list(evolution.widths),
            "generations": evolution.generation,
            "steps": evolution.steps,
            "stopped_at": self.stop,
            "rows": rows,
            "size_bytes": policy.size_bytes,
            "policy_bytes": frozen.size.policy_bytes,
        }

    def _freeze(self, policy: BinaryPolicy) -> CompressedPolicy:
        env_id = self.settings.env
        meta = {
            "env_id": env_id,
            "algorithm": "nes",
            "variant": VARIANT,
            "seed": self.settings.seed,
        }
        return policy.freeze(observed(env_id, policy, GOLDEN), meta)

    def _policy(self, weights: Bytes) -> BinaryPolicy:
        return self.parts.policy(from_flat(self.parts.evolution.widths, weights))

    def _line(self, generation: Generation) -> dict[str, Any]:
        return {
            "env": self.settings.env,
            "seed": self.settings.seed,
            "variant": VARIANT,
            "generation": generation.number,
            "step": generation.steps,
            "return": generation.map_return,
            "mean_return": generation.mean_return,
            "best_return": generation.best_return,
            "stop": generation.stop,
        }

    def _tell(self, generation: Generation) -> None:
        now = time.monotonic()
        if now - self._said < LINE_EVERY_S and generation.stop is None:
            return
        self._said = now
        rate = (generation.steps - self._before) / max(now - self._began, 1e-9)
        self._say(
            f"generation {generation.number}/{self.settings.generations}  mean "
            f"{generation.mean_return:.1f}  MAP {generation.map_return:.1f}  best "
            f"{generation.best_return:.1f}  {generation.steps:,} steps  {rate:,.0f} steps/s"
        )

    def _draw(self, generation: Generation) -> None:
        every = self.settings.draw_every
        if every and (generation.number % every == 0 or generation.stop is not None):
            policy = self._policy(self.parts.evolution.search.mode)
            path = self.directory / "films" / f"{generation.number:05d}.gif"
            where = show_episode(self.settings.env, policy, path, seed=generation.number)
            self._say(f"an episode of generation {generation.number}: {where}")


def observed(env_id: str, policy: BinaryPolicy, count: int) -> npt.NDArray[np.float32]:
    """Observations that the policy comes upon, a few steps apart."""
    env = gym.make(env_id)
    observation, _ = env.reset(seed=0)
    found = []
    for step in range(4 * count):
        if step % 4 == 0:
            found.append(np.asarray(observation, np.float32))
        action = policy.act(np.asarray(observation, np.float32)[None])[0]
        observation, _, ended, cut, _ = env.step(action)
        if ended or cut:
            observation, _ = env.reset()
    env.close()
    return np.stack(found)
