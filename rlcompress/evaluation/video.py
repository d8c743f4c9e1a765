"""Frames of several players side by side, into an MP4 or an animated GIF; plays nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]

FORMATS = (".mp4", ".gif")
_CAPTION, _GAP = 34, 4
_GIF_MS = 20
_INK, _PAPER = (235, 235, 235), (28, 30, 34)


class Video(Protocol):
    """Where frames go, one after the other and all of one shape."""

    def add(self, frame: Frame) -> None:
        """Take one RGB frame."""

    def close(self) -> None:
        """Write what is left; the file is there from now on."""


def open_video(path: Path, fps: float) -> Video:
    """A video at ``path``, in the format of its ending; written beside it and renamed at the end.

    MP4 holds H.264 where imageio's ffmpeg is installed (``rlcompress[video]``), which every browser
    shows, and else OpenCV's MPEG-4.

    Raises:
        ValueError: for other endings, and where there is no directory.
    """
    if path.suffix not in FORMATS:
        raise ValueError(f"out must end in {' or '.join(FORMATS)}, got {path.name!r}")
    if not path.parent.is_dir():
        raise ValueError(f"out={path}: there is no directory {path.parent}")
    if path.suffix == ".gif":
        return _Gif(path, fps)
    try:
        import imageio_ffmpeg
    except ImportError:
        return _OpenCv(path, fps)
    return _H264(path, fps, imageio_ffmpeg)


@dataclass(frozen=True)
class Pane:
    """One player's picture with a line above it and one below that."""

    frame: Frame
    title: str
    subtitle: str


def side_by_side(panes: Sequence[Pane], side: int) -> Frame:
    """One picture of all panes, each at most ``side`` pixels high, captions above."""
    import cv2

    height = side - side % 2
    gap = np.full((height + _CAPTION, _GAP, 3), _PAPER, np.uint8)
    columns: list[Frame] = []
    for pane in panes:
        columns += [gap] if columns else []
        rows, width = pane.frame.shape[:2]
        # Video codecs want even numbers; captions need some width.
        wide = max(2 * round(width * height / rows / 2), 2 * (height // 3))
        method = cv2.INTER_AREA if height < rows else cv2.INTER_NEAREST
        picture = cv2.resize(np.ascontiguousarray(pane.frame), (wide, height), interpolation=method)
        caption = np.full((_CAPTION, wide, 3), _PAPER, np.uint8)
        for line, baseline, size in ((pane.title, 14, 0.42), (pane.subtitle, 29, 0.36)):
            cv2.putText(
                caption, line, (5, baseline), cv2.FONT_HERSHEY_SIMPLEX, size, _INK, 1, cv2.LINE_AA
            )
        columns.append(np.concatenate([caption, picture]))
    return np.concatenate(columns, axis=1)


class _Gif:
    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._duration = max(_GIF_MS, round(1000 / fps))
        self._frames: list[Any] = []

    def add(self, frame: Frame) -> None:
        from PIL import Image

        # As a palette at once: a third of the memory.
        picture = Image.fromarray(frame)
        self._frames.append(picture.quantize(128, dither=Image.Dither.NONE))

    def close(self) -> None:
        if not self._frames:
            return
        first, *rest = self._frames
        part = _part(self._path)
        first.save(
            part, format="GIF", save_all=True, append_images=rest, duration=self._duration, loop=0
        )
        part.replace(self._path)


class _OpenCv:
    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._fps = path, fps
        self._writer: Any = None

    def add(self, frame: Frame) -> None:
        import cv2

        if self._writer is None:
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            size = frame.shape[1], frame.shape[0]
            self._writer = cv2.VideoWriter(str(_part(self._path)), codec, self._fps, size)
            if not self._writer.isOpened():
                raise ValueError("OpenCV cannot write MP4 here; out=<file>.gif works without it")
        self._writer.write(np.ascontiguousarray(frame[..., ::-1]))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()
            _part(self._path).replace(self._path)


class _H264:
    def __init__(self, path: Path, fps: float, package: Any) -> None:
        self._path, self._fps, self._package = path, fps, package
        self._sink: Any = None

    def add(self, frame: Frame) -> None:
        if self._sink is None:
            size = frame.shape[1], frame.shape[0]
            self._sink = self._package.write_frames(
                str(_part(self._path)), size, fps=self._fps, macro_block_size=2, quality=7
            )
            self._sink.send(None)
        self._sink.send(np.ascontiguousarray(frame))

    def close(self) -> None:
        if self._sink is not None:
            self._sink.close()
            _part(self._path).replace(self._path)


def _part(path: Path) -> Path:
    # The ending stays: codecs are chosen by it.
    return path.with_name(f".{path.stem}.part{path.suffix}")
