"""Runs: which positions of which map keep their value from which step to which.

Between two steps at which something that it reads changes, a position's value is constant: that is
one run. A stack's maps over many frames are as many runs as positions were ever computed anew, and
the runs of a map read runs of the map below. Finds runs; computes no values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlcompress.reuse.geometry import Window

Ints = npt.NDArray[np.int32]
Frames = npt.NDArray[np.uint8]

_native: object | None
try:
    from rlcompress.reuse import _runs

    _native = _runs
except ImportError:  # Installed without a compiler.
    _native = None

NO_LIMIT = 2**40


@dataclass(frozen=True)
class MapRuns:
    """The runs of one map, numbered from 1 in the order in which they begin; 0 is the padding.

    ``inputs`` [runs, taps] are numbers of the runs below that each one reads; the frames' own runs
    have none.
    """

    positions: Ints
    begins: Ints
    ends: Ints
    inputs: Ints

    def __len__(self) -> int:
        return len(self.positions)


def has_native() -> bool:
    """Whether runs are found by native code here."""
    return _native is not None


def find_runs(
    frames: Frames, windows: Sequence[Window], *, limit: int = NO_LIMIT, native: bool | None = None
) -> tuple[int, list[MapRuns]]:
    """The runs of the frames and of each map above them, and of how many frames.

    ``frames`` is [steps, height, width, channels]. Fewer than all are taken where the maps would
    have more than ``limit`` runs together, but always one.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or 0 in frames.shape:
        raise ValueError(
            "frames must be uint8 of [steps, height, width, channels], none of them 0, got "
            f"{frames.dtype} {frames.shape}"
        )
    frames = np.ascontiguousarray(frames)
    if native is None:
        native = has_native()
    if native and not has_native():
        raise ValueError("native must be False: this installation has no compiled code")
    if not native:
        return _find(frames, windows, limit)
    shapes, size = [], (frames.shape[1], frames.shape[2])
    for window in windows:
        size = window.outputs(size)
        w = window
        shapes.append([*w.kernel, *w.stride, *w.padding, *w.dilation, *size])
    taken, maps = _runs.find_runs(frames, shapes, limit)
    return taken, [MapRuns(p[:, 0], b[:, 0], e[:, 0], i) for p, b, e, i in maps]


class _Map:
    """One map while runs are being found in numpy."""

    def __init__(self, size: tuple[int, int], table: Ints) -> None:
        self.size = size
        self.table = table  # [positions, taps] of positions below; the last one is padding
        # One entry more than positions: the padding, which never changes and is in run 0.
        self.current = np.zeros(size[0] * size[1] + 1, np.int32)
        self.count = 0
        self.found: list[tuple[Ints, Ints]] = []
        self.begins: list[int] = []
        self.ends = np.zeros(1, np.int32)

    def begin(self, step: int, changed: Ints, below: _Map | None) -> None:
        stopped = self.current[changed]
        if self.count + len(changed) >= len(self.ends):
            grown = 2 * len(self.ends) + len(changed)
            self.ends = np.concatenate([self.ends, np.zeros(grown, np.int32)])
        self.ends[stopped[stopped > 0]] = step
        self.current[changed] = np.arange(len(changed), dtype=np.int32) + self.count + 1
        self.count += len(changed)
        none = np.empty((0, 1), np.int32)
        self.found.append((changed, none if below is None else below.current[self.table[changed]]))
        self.begins.append(len(changed))

    def runs(self, steps: int) -> MapRuns:
        ends = self.ends[1 : self.count + 1].copy()
        ends[ends == 0] = steps
        positions = np.concatenate([p for p, _ in self.found]).astype(np.int32)
        begins = np.repeat(np.arange(steps, dtype=np.int32), self.begins)
        return MapRuns(positions, begins, ends, np.concatenate([i for _, i in self.found]))


def _find(frames: Frames, windows: Sequence[Window], limit: int) -> tuple[int, list[MapRuns]]:
    maps = [_Map((frames.shape[1], frames.shape[2]), np.empty((0, 0), np.int32))]
    for window in windows:
        size = window.outputs(maps[-1].size)
        maps.append(_Map(size, _table(window, maps[-1].size, size)))
    total = step = 0
    for step, frame in enumerate(frames):
        if step:
            masks = [(frame != frames[step - 1]).any(2).ravel()]
            for above in maps[1:]:
                masks.append(np.append(masks[-1], False)[above.table].any(1))
            changed = [np.flatnonzero(mask).astype(np.int32) for mask in masks]
        else:
            changed = [np.arange(len(one.current) - 1, dtype=np.int32) for one in maps]
        more = sum(map(len, changed))
        if step and total + more > limit:
            break
        total += more
        for k, (one, where) in enumerate(zip(maps, changed, strict=True)):
            one.begin(step, where, maps[k - 1] if k else None)
    else:
        step += 1
    return step, [one.runs(step) for one in maps]


def _table(window: Window, inputs: tuple[int, int], outputs: tuple[int, int]) -> Ints:
    """[outputs, taps]: which input each tap of each output reads; the number of inputs: padding."""
    axes = []
    for axis in (0, 1):
        first = np.arange(outputs[axis]) * window.stride[axis] - window.padding[axis]
        axes.append(first[:, None] + np.arange(window.kernel[axis]) * window.dilation[axis])
    rows, columns = axes[0][:, None, :, None], axes[1][None, :, None, :]
    inside = (rows >= 0) & (rows < inputs[0]) & (columns >= 0) & (columns < inputs[1])
    at = np.where(inside, rows * inputs[1] + columns, inputs[0] * inputs[1])
    return at.reshape(outputs[0] * outputs[1], -1).astype(np.int32)
