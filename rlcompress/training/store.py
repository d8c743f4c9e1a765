"""The files of a run's checkpoints: whole or absent, checksummed, two kept; not what is in them.

``checkpoint/<step>.ckpt`` is a line that names the format, a line with the SHA-256 of the rest, a
line of JSON and a body. The transitions of a replay buffer lie apart, in ``checkpoint/replay/``,
each file listed in the JSON with its SHA-256. There are two sets of these files, and checkpoints
take turns: a new one goes on with the files of the one before the last, which it replaces. So no
file belongs to two checkpoints, and damage to one never harms the other; a buffer of gigabytes is
still not written with every checkpoint. The body is a pickle: open only your own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlcompress.artifact.file import write_bytes

FORMAT = b"rlcompress checkpoint 2"
KEPT = 2
"""Checkpoints that are kept: the newest, and the one before for the case that it is damaged."""

_SETS = ("a", "b")
_CHUNK = 2**22


class Damaged(Exception):
    """A checkpoint cannot be used; the message says what is wrong with it."""


@dataclass(frozen=True)
class Segment:
    """One file of transitions: its set and name, of which vectorised steps, and its SHA-256."""

    name: str
    first: int
    stop: int
    sha256: str


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint as it was read and found whole."""

    path: Path
    step: int
    segments: tuple[Segment, ...]
    body: bytes


class Store:
    """The checkpoints of one run, in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._segments: dict[Path, tuple[Segment, ...]] = {}

    @property
    def replay(self) -> Path:
        """Where transitions lie."""
        return self.directory / "replay"

    def paths(self) -> list[Path]:
        """The checkpoints, newest first."""
        return sorted(self.directory.glob("[0-9]*.ckpt"), reverse=True)

    def reusable(self) -> tuple[Segment, ...]:
        """Transitions that the next checkpoint may list: those of the one before the newest."""
        known = sorted(self._segments)
        return self._segments[known[-KEPT]] if len(known) >= KEPT else ()

    def write_segment(self, first: int, stop: int, data: bytes) -> Segment:
        """Write transitions; they belong to no checkpoint until one that lists them is written."""
        newest = self._segments[max(self._segments)] if self._segments else ()
        taken = {segment.name[0] for segment in newest}
        place = next(name for name in _SETS if name not in taken)
        (self.replay / place).mkdir(parents=True, exist_ok=True)
        name = f"{place}/{first:012d}-{stop:012d}.safetensors"
        write_bytes(self.replay / name, data)
        return Segment(name, first, stop, hashlib.sha256(data).hexdigest())

    def write(self, step: int, segments: tuple[Segment, ...], body: bytes) -> Path:
        """Write a checkpoint, then remove what only older ones than are kept need."""
        self.directory.mkdir(parents=True, exist_ok=True)
        header = {"step": step, "segments": [asdict(segment) for segment in segments]}
        content = json.dumps(header).encode() + b"\n" + body
        digest = hashlib.sha256(content).hexdigest().encode()
        path = self.directory / f"{step:012d}.ckpt"
        write_bytes(path, FORMAT + b"\n" + digest + b"\n" + content)
        self._segments[path] = segments
        self.prune(KEPT)
        return path

    def prune(self, kept: int) -> None:
        """Keep the ``kept`` newest checkpoints and the transitions that they list."""
        for path in self.paths()[kept:]:
            path.unlink()
        self._segments = {path: found for path, found in self._segments.items() if path.exists()}
        needed = {segment.name for found in self._segments.values() for segment in found}
        for path in self.replay.glob("*/*"):
            if path.relative_to(self.replay).as_posix() not in needed:
                path.unlink(missing_ok=True)

    def open_newest(self, say: Callable[[str], None]) -> Checkpoint:
        """The newest checkpoint that is whole; damaged ones are named and removed.

        Raises:
            ValueError: none is whole; all stay where they are.
        """
        problems: list[str] = []
        damaged: list[Path] = []
        for path in self.paths():
            try:
                found = _read(path)
                self._verify(found)
            except Damaged as error:
                problems.append(f"checkpoint {path.name} is damaged: {error}")
                damaged.append(path)
                continue
            for problem, gone in zip(problems, damaged, strict=True):
                say(f"{problem}; using the one of step {found.step} instead")
                gone.unlink()
            self._remember(found, say)
            return found
        raise ValueError(
            f"no checkpoint in {self.directory} can be used: {'; '.join(problems) or 'none there'}"
        )

    def files(self, path: Path) -> list[Path]:
        """The files that the checkpoint ``path`` consists of, itself last.

        Raises:
            Damaged: it cannot be read.
        """
        return [*(self.replay / segment.name for segment in _read(path).segments), path]

    def read_segments(self, checkpoint: Checkpoint) -> Iterator[tuple[Segment, bytes]]:
        """The transitions of a checkpoint, oldest first."""
        for segment in checkpoint.segments:
            yield segment, (self.replay / segment.name).read_bytes()

    def _remember(self, newest: Checkpoint, say: Callable[[str], None]) -> None:
        """Know what every checkpoint lists; what is damaged must not become part of the next."""
        self._segments = {newest.path: newest.segments}
        for path in self.paths():
            if path == newest.path:
                continue
            try:
                older = _read(path)
                self._verify(older)
            except Damaged as error:
                say(f"checkpoint {path.name} is damaged: {error}; the newer one is whole")
                path.unlink()
            else:
                self._segments[path] = older.segments

    def _verify(self, checkpoint: Checkpoint) -> None:
        for segment in checkpoint.segments:
            path = self.replay / segment.name
            if not path.is_file():
                raise Damaged(f"its file replay/{segment.name} is missing")
            if _digest(path) != segment.sha256:
                raise Damaged(f"the checksum of its file replay/{segment.name} is wrong")


def _read(path: Path) -> Checkpoint:
    data = path.read_bytes()
    name, _, rest = data.partition(b"\n")
    digest, _, content = rest.partition(b"\n")
    if name != FORMAT:
        raise Damaged("it does not begin like a checkpoint of this version")
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise Damaged("its checksum is wrong")
    header, _, body = content.partition(b"\n")
    fields: dict[str, Any] = json.loads(header)
    segments = tuple(Segment(**segment) for segment in fields["segments"])
    return Checkpoint(path, fields["step"], segments, body)


def _digest(path: Path) -> str:
    state = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()
