"""Checkpoints of a compression: what is written when, and how a stopped run goes on from it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.numpy
import torch

from rlcompress.compress.recorded import Recorded
from rlcompress.training.directory import RunDirectory
from rlcompress.training.errors import TrainingStopped
from rlcompress.training.store import Segment, Store

SEGMENT_BYTES = 2**26
"""About how many bytes of observations go into a file."""


class CompressDirectory(RunDirectory):
    """A run directory whose run is continued by another command."""

    @property
    def how_to_resume(self) -> str:
        """The command that continues the run here, for messages."""
        return super().how_to_resume.replace("rlcompress.train", "rlcompress.compress")


class Journal:
    """Saves the state of a run with what was recorded, and the lengths of files that grow."""

    def __init__(self, directory: RunDirectory, recorded: Recorded) -> None:
        self.store = Store(directory.checkpoints)
        self._directory = directory
        self._recorded = recorded

    def save(self, clock: int, state: dict[str, Any]) -> None:
        """Write a checkpoint after ``clock`` gradient steps in all."""
        segments = self._write_observations()
        files = {path.name: _synced_size(path) for path in self._growing()}
        body = io.BytesIO()
        torch.save({**state, "files": files, "recorded": self._recorded.written}, body)
        self.store.write(clock, segments, body.getvalue())

    def load(self, say: Callable[[str], None]) -> dict[str, Any] | None:
        """State of the newest whole checkpoint; None where there is none.

        Raises:
            TrainingStopped: there are checkpoints, but none can be used.
        """
        if not self.store.paths():
            say("stopped before its first checkpoint: starting from the beginning")
            self._directory.begin_again()
            return None
        try:
            found = self.store.open_newest(say)
        except ValueError as error:
            raise TrainingStopped(str(error)) from error
        # Our own pickle, from a directory that the user named.
        state: dict[str, Any] = torch.load(
            io.BytesIO(found.body), map_location="cpu", weights_only=False
        )
        self._cut(state["files"])
        for segment, data in self.store.read_segments(found):
            self._recorded.put(segment.first, safetensors.numpy.load(data))
        assert self._recorded.written == state["recorded"]
        say(f"continuing after {found.step} gradient steps")
        return state

    def _write_observations(self) -> tuple[Segment, ...]:
        """Write what the older of the two checkpoints, whose files are used again, lacks."""
        recorded = self._recorded
        stop = recorded.written
        oldest = stop - len(recorded)
        rows = max(SEGMENT_BYTES // max(recorded.observation_bytes, 1), 1)
        kept: list[Segment] = []
        for segment in self.store.reusable():
            if segment.stop % rows:
                break
            # One that begins earlier as well: what is too old is overwritten when it is read.
            if segment.stop > oldest:
                kept.append(segment)
        start = kept[-1].stop if kept else oldest
        while start < stop:
            end = min((start // rows + 1) * rows, stop)
            data = safetensors.numpy.save(recorded.take(start, end))
            kept.append(self.store.write_segment(start, end, data))
            start = end
        return tuple(kept)

    def _growing(self) -> list[Path]:
        events = sorted(self._directory.path.glob("events.out.tfevents.*"))
        return [path for path in (self._directory.evaluations, *events) if path.exists()]

    def _cut(self, sizes: dict[str, int]) -> None:
        for path in self._growing():
            if path.name not in sizes:
                path.unlink()
            elif path.stat().st_size > sizes[path.name]:
                with path.open("r+b") as file:
                    file.truncate(sizes[path.name])


def _synced_size(path: Path) -> int:
    """Length of a file, all of which is on the disk now."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size
