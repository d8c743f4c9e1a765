"""What runs of a sweep have in common, trained once: a run goes on from another's checkpoint.

Two runs that differ only in what comes after the end of a phase are the same run up to there, bit
for bit. The first of them to get there leaves its checkpoint and results as a trunk; later ones
begin with a copy. Decides which runs share what; trains and restores nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlcompress.training.directory import ENVIRONMENT, RunDirectory
from rlcompress.training.errors import TrainingStopped
from rlcompress.training.lock import locked
from rlcompress.training.plan import Plan
from rlcompress.training.signals import StopRequest
from rlcompress.training.store import Store

READY = "ready"
POLL_S = 1.0

_PRUNING = ("sparsity", "criterion", "allocation")
_LATER = ("quant", "quantisation", "extra_timesteps", "extra_fraction")
_ELSEWHERE = ("resume", "trunks", "checkpoint_freq", "final_episodes", "parity_observations")
_TABLES = ("sac", "td3", "dqn_atari", "dqn_resnet", "dqn_vector", "ppo", "a2c")


@dataclass(frozen=True)
class Trunk:
    """One shared beginning: its length in steps, where it lies, whether this run may leave it."""

    step: int
    path: Path
    leaves: bool

    @property
    def ready(self) -> bool:
        """Whether a run has left it."""
        return (self.path / READY).is_dir()


def trunks_of(plan: Plan) -> tuple[Trunk, ...]:
    """The beginnings that a run of this plan shares with others, shortest first; may be empty."""
    root, timeline = plan.settings.trunks, plan.timeline
    if root is None:
        return ()
    found: list[Trunk] = []
    if _prunes_after_a_checkpoint(plan):
        assert timeline.pruning is not None
        step = timeline.pruning[0]
        found.append(Trunk(step, Path(root) / _name(plan, step, dense=True), leaves=True))
    # On-policy algorithms calibrate on a rollout that is over when the checkpoint is written.
    if plan.total_timesteps < timeline.length and not (plan.qat and plan.on_policy):
        step = plan.total_timesteps
        path = Path(root) / _name(plan, step, dense=False)
        # A checkpoint is written after quantisation began.
        found.append(Trunk(step, path, leaves=not plan.qat))
    return tuple(found)


def _prunes_after_a_checkpoint(plan: Plan) -> bool:
    """Whether a checkpoint falls on the last dense step; in the middle of a rollout none does."""
    window = plan.timeline.pruning
    if window is None or window[0] == 0:
        return False
    return window[0] % plan.rollout == 0


def _name(plan: Plan, step: int, *, dense: bool) -> str:
    """A name that two runs share exactly if they are the same up to ``step``."""
    known: dict[str, Any] = asdict(plan.settings)
    for key in (*_LATER, *_ELSEWHERE, *_TABLES, *(_PRUNING if dense else ())):
        del known[key]
    recipe: dict[str, Any] = asdict(plan.recipe)
    if dense:
        del known["pruning"], recipe["pruning_updates"]
    known |= {"step": step, "length": plan.timeline.length, "recipe": recipe}
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
    env = plan.settings.env.replace("/", "-")
    return f"{env}-seed{plan.settings.seed}-{step}-{digest[:12]}"


class Sharing:
    """The trunks of one run while it goes on: taken at its beginning, left at ends of phases."""

    def __init__(self, plan: Plan, directory: RunDirectory, say: Callable[[str], None]) -> None:
        self._trunks = trunks_of(plan)
        self._directory = directory
        self._say = say
        self._held: dict[Path, contextlib.ExitStack] = {}

    def take(self, stop: StopRequest) -> bool:
        """Copy the longest trunk that is ready into the run's directory; whether there was one.

        Waits for a run that is under way to one, and else undertakes to leave those that are
        missing.
        """
        longest_first = self._trunks[::-1]
        for trunk in longest_first:
            self._wait(trunk, stop)
            if trunk.ready:
                copy_run(trunk.path / READY, self._directory.path)
                self._say(f"going on after {trunk.step} steps of another run: {trunk.path}")
                self._tell_origin(trunk)
                return True
        return False

    def _tell_origin(self, trunk: Trunk) -> None:
        """A trunk outlives the code and the machine that made it: the run has to know of both."""
        made_with = RunDirectory(trunk.path / READY).record()
        for change in self._directory.go_on_after(trunk.step, made_with):
            self._say(f"these steps were made otherwise: {change}")

    def undertake(self, done: int) -> None:
        """Go on being under way to the trunks that are longer than ``done`` steps."""
        for trunk in self._trunks:
            if trunk.step > done and trunk.leaves and not trunk.ready:
                self._undertake(trunk)

    def leave(self, step: int) -> None:
        """Leave the checkpoint just written, at the end of a phase after ``step`` steps."""
        for trunk in self._trunks:
            if trunk.step != step or not trunk.leaves:
                continue
            if not trunk.ready:
                publish(self._directory.path, trunk.path)
            self._let_go(trunk.path)

    def close(self) -> None:
        """Undertake nothing any more."""
        for path in list(self._held):
            self._let_go(path)

    def _wait(self, trunk: Trunk, stop: StopRequest) -> None:
        said = False
        while not trunk.ready and not self._undertake(trunk):
            if not said:
                self._say(f"waiting for the run that is under way to {trunk.path}")
                said = True
            if stop.number is not None:
                stop.stop(f"stopped while waiting; {self._directory.how_to_resume}")
            time.sleep(POLL_S)
        if not trunk.leaves or trunk.ready:
            self._let_go(trunk.path)

    def _undertake(self, trunk: Trunk) -> bool:
        """Whether no other run is under way to ``trunk``; others wait for this one from now on."""
        trunk.path.mkdir(parents=True, exist_ok=True)
        stack = contextlib.ExitStack()
        try:
            stack.enter_context(locked(trunk.path))
        except TrainingStopped:
            return False
        self._held[trunk.path] = stack
        return True

    def _let_go(self, path: Path) -> None:
        if path in self._held:
            self._held.pop(path).close()


def publish(run: Path, trunk: Path) -> None:
    """Leave what ``run`` holds now as ``trunk``, whole or not at all."""
    trunk.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=trunk) as place:
        copy = Path(place) / READY
        copy.mkdir()
        copy_run(run, copy)
        if (run / ENVIRONMENT).exists():
            _link(run / ENVIRONMENT, copy / ENVIRONMENT)
        # Another run may have been here first; its copy is as good.
        with contextlib.suppress(OSError):
            copy.rename(trunk / READY)


def copy_run(source: Path, target: Path) -> None:
    """Copy results and newest checkpoint; without its last file the copy is no checkpoint."""
    store = Store(source / "checkpoint")
    growing = [source / "eval.jsonl", *source.glob("events.out.tfevents.*")]
    for path in growing:
        if path.exists():
            shutil.copyfile(path, target / path.name)
    for path in [*(source / "phases").glob("*"), *store.files(store.paths()[0])]:
        if path.is_file() and not path.name.startswith("."):
            _link(path, target / path.relative_to(source))


def _link(source: Path, target: Path) -> None:
    """A second name for a file that is only ever replaced whole; else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
