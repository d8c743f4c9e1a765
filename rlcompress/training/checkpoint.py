"""Writes a run's checkpoints while it trains and brings it back to one; decides when, not what."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback

from rlcompress.sb3 import replay_state
from rlcompress.training import snapshot
from rlcompress.training.directory import RunDirectory
from rlcompress.training.errors import TrainingStopped
from rlcompress.training.packing import pack, unpack
from rlcompress.training.phases import Timeline
from rlcompress.training.signals import StopRequest
from rlcompress.training.snapshot import Parts
from rlcompress.training.store import Checkpoint, Segment, Store

SEGMENT_BYTES = 2**25
"""About how many bytes of transitions go into a file, and so lie in memory twice."""


class Checkpoints:
    """Saves and restores one run: parts, transitions, and the lengths of the files that grow.

    ``filled`` is how many rows the replay buffer had before the first step.
    """

    def __init__(self, parts: Parts, directory: RunDirectory, *, filled: int = 0) -> None:
        self.store = Store(directory.checkpoints)
        self.filled = filled
        self.parts = parts
        self.directory = directory

    def save(self) -> None:
        """Write a checkpoint between two rollouts."""
        state = snapshot.take(self.parts)
        segments: tuple[Segment, ...] = ()
        buffer = self._buffer()
        if buffer is not None:
            state["replay"] = replay_state.counters(buffer)
            segments = self._write_transitions(buffer)
        self._write(state, segments)

    def save_trained(self) -> None:
        """Write the checkpoint of a run that only has to be evaluated."""
        self._write(snapshot.take_trained(self.parts), ())

    def load(self, checkpoint: Checkpoint) -> tuple[dict[str, Any], str | None]:
        """Bring a fresh run back; returns the state, and why episodes restart if they do.

        Files that grew after the checkpoint are cut back to what they were.
        """
        # Our own pickle, from a directory that the user named (SECURITY.md).
        state = torch.load(io.BytesIO(checkpoint.body), map_location="cpu", weights_only=False)
        self._cut(state["files"])
        if is_trained(state):
            snapshot.restore_trained_(self.parts, state)
            return state, None
        buffer = self._buffer()
        if buffer is not None:
            replay_state.begin_(buffer, state["replay"])
            for segment, data in self.store.read_segments(checkpoint):
                replay_state.put_(buffer, segment.first, unpack(data))
            replay_state.finish_(buffer)
        return state, snapshot.restore_(self.parts, state)

    def _buffer(self) -> ReplayBuffer | None:
        buffer = getattr(self.parts.model, "replay_buffer", None)
        assert buffer is None or isinstance(buffer, ReplayBuffer)
        return buffer

    def _write(self, state: dict[str, Any], segments: tuple[Segment, ...]) -> None:
        logger = self.parts.model.logger
        for output in logger.output_formats:
            writer = getattr(output, "writer", None)
            if writer is not None:
                writer.flush()
        files = {path.name: _synced_size(path) for path in self._growing()}
        body = io.BytesIO()
        torch.save({**state, "files": files}, body)
        self.store.write(self.parts.model.num_timesteps, segments, body.getvalue())

    def _write_transitions(self, buffer: ReplayBuffer) -> tuple[Segment, ...]:
        """Write what the older of the two checkpoints, whose files are used again, does not hold.

        Files that are full stay as they are; the last is written anew with what has come since.
        """
        stop = self.filled + self.parts.model.num_timesteps // buffer.n_envs
        oldest = max(stop - buffer.buffer_size, 0)
        rows = max(SEGMENT_BYTES // replay_state.row_bytes(buffer), 1)
        kept: list[Segment] = []
        for segment in self.store.reusable():
            if segment.stop % rows:
                break
            if segment.stop > oldest:
                kept.append(segment)
        start = kept[-1].stop if kept else oldest
        while start < stop:
            end = min((start // rows + 1) * rows, stop)
            data = pack(replay_state.take(buffer, start, end))
            kept.append(self.store.write_segment(start, end, data))
            start = end
        return tuple(kept)

    def _growing(self) -> list[Path]:
        events = sorted(self.directory.path.glob("events.out.tfevents.*"))
        return [path for path in (self.directory.evaluations, *events) if path.exists()]

    def _cut(self, sizes: dict[str, int]) -> None:
        for path in self._growing():
            size = path.stat().st_size
            if path.name not in sizes:
                path.unlink()
            elif size > sizes[path.name]:
                with path.open("r+b") as file:
                    file.truncate(sizes[path.name])
        lost = [name for name, size in sizes.items() if not self._holds(name, size)]
        if lost:
            raise ValueError(
                f"{', '.join(lost)} in {self.directory.path} lost lines that were there when the "
                "checkpoint was written; the run cannot be continued without them"
            )

    def _holds(self, name: str, size: int) -> bool:
        path = self.directory.path / name
        return path.exists() and path.stat().st_size >= size


def _synced_size(path: Path) -> int:
    """Length of a file, all of which is on the disk now: after a power cut it is no shorter."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size


def is_trained(state: dict[str, Any]) -> bool:
    """Whether a checkpoint's state is that of a run which only has to be evaluated."""
    return "environment" not in state


class CheckpointCallback(BaseCallback):
    """Saves the run every ``freq`` steps, after the end of a phase, at the end, and when asked to.

    Belongs last: whatever other callbacks do before a rollout is part of what is saved.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        timeline: Timeline,
        freq: int,
        *,
        stop: StopRequest,
        check: Callable[[], None],
        leave: Callable[[int], None],
    ) -> None:
        super().__init__()
        self._checkpoints = checkpoints
        self._timeline = timeline
        self._freq = freq
        self._stop = stop
        self._check = check
        self._leave = leave
        self._saved = 0
        self._restored: dict[str, Any] | None = None

    def restore(self, say: Callable[[str], None]) -> bool:
        """Bring a fresh run back to its newest whole checkpoint; returns whether it is trained.

        Raises:
            TrainingStopped: no checkpoint can be used.
        """
        checkpoints = self._checkpoints
        if not checkpoints.store.paths():
            say("stopped before its first checkpoint: starting from the beginning")
            checkpoints.directory.begin_again()
            return False
        try:
            state, unsaved = checkpoints.load(checkpoints.store.open_newest(say))
        except ValueError as error:
            raise TrainingStopped(str(error)) from error
        self._saved = state["attributes"]["num_timesteps"]
        self._restored = state
        say(f"continuing after {self._saved} steps")
        if unsaved is not None:
            say(f"episodes start anew, so results may differ from an undisturbed run: {unsaved}")
        return is_trained(state)

    def _on_rollout_start(self) -> None:
        if self._restored is not None:
            snapshot.restore_moment_(self._checkpoints.parts, self._restored)
            self._restored = None
        asked = self._stop.number is not None
        if (asked and self.num_timesteps > self._saved) or self._is_due():
            # A checkpoint of a broken model would replace a good one.
            self._check()
            self._checkpoints.save()
            ended, self._saved = self._ended(), self.num_timesteps
            for end in ended:
                self._leave(end)
        if asked:
            how = self._checkpoints.directory.how_to_resume
            self._stop.stop(f"stopped after {self.num_timesteps} steps; {how}")

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        self._checkpoints.save_trained()

    def _is_due(self) -> bool:
        step, saved = self.num_timesteps, self._saved
        if step // self._freq > saved // self._freq:
            return True
        return bool(self._ended())

    def _ended(self) -> list[int]:
        """Ends of phases since the last checkpoint."""
        ends = self._timeline.ends()
        return [end for end in ends if self._saved < end <= self.num_timesteps]
