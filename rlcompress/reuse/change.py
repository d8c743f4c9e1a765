"""How much of a screen changes from one frame to the next, counted in several ways.

Pixels, the rectangle around them, tiles, and positions of a second 3x3 layer that have to be
computed again. Plays nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]

TILES = (4, 8, 16)


def rectangle(changed: Mask) -> tuple[int, int, int, int] | None:
    """First row, end of rows, first column, end of columns of what changed; None for nothing."""
    return extent(np.logical_or.reduce(changed, 1), np.logical_or.reduce(changed, 0))


def extent(in_rows: Mask, in_columns: Mask) -> tuple[int, int, int, int] | None:
    """The rectangle around all true rows and columns."""
    rows, columns = np.flatnonzero(in_rows), np.flatnonzero(in_columns)
    if not len(rows):
        return None
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def rectangle_share(changed: Mask) -> float:
    """Share of the frame inside the rectangle around all that changed."""
    return _area(rectangle(changed)) / changed.size


def _area(box: tuple[int, int, int, int] | None) -> int:
    return 0 if box is None else (box[1] - box[0]) * (box[3] - box[2])


def tiles(changed: Mask, side: int) -> Mask:
    """Tiles of ``side`` by ``side`` pixels that something changed in; the last ones may be cut."""
    height, width = changed.shape
    strips = np.logical_or.reduceat(changed, np.arange(0, height, side), axis=0)
    return np.asarray(np.logical_or.reduceat(strips, np.arange(0, width, side), axis=1), bool)


def dilated(changed: Mask, kernel: int = 3) -> Mask:
    """Outputs of an unpadded convolution of stride 1 that read a changed input."""
    height, width = (side - kernel + 1 for side in changed.shape)
    rows = changed[:height].copy()
    for k in range(1, kernel):
        rows |= changed[k : k + height]
    out: Mask = rows[:, :width].copy()
    for k in range(1, kernel):
        out |= rows[:, k : k + width]
    return out


class ChangeCounter:
    """Sums of shares over pairs of consecutive frames; ``means`` gives them in per cent."""

    def __init__(self) -> None:
        self.pairs = 0
        self._sums: dict[str, float] = {}
        self._last: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]] | None = None

    def add(self, rgb: npt.NDArray[np.uint8], grey: npt.NDArray[np.uint8]) -> None:
        """Take the next screen, in colour and in grey."""
        last, self._last = self._last, (rgb.copy(), grey.copy())
        if last is None:
            return
        self.pairs += 1
        for name, share in shares(rgb != last[0], grey != last[1]).items():
            self._sums[name] = self._sums.get(name, 0.0) + share

    def means(self) -> dict[str, float]:
        """Mean shares in per cent."""
        return {name: 100 * total / self.pairs for name, total in self._sums.items()}


def share(mask: Mask) -> float:
    """Share of true entries."""
    return int(np.count_nonzero(mask)) / mask.size


def shares(rgb: Mask, grey: Mask) -> dict[str, float]:
    """Shares that changed, by name; ``red_d4_second`` are positions of a second 3x3 layer."""
    height, width, channels = rgb.shape
    lines = rgb.reshape(height, width * channels)  # reductions along three colours are slow
    columns = np.logical_or.reduce(lines, 0).reshape(width, channels)
    box = extent(np.logical_or.reduce(lines, 1), np.logical_or.reduce(columns, 1))
    found = {
        "rgb_elements": share(rgb),
        "rgb_rectangle": _area(box) / (height * width),
        "grey_pixels": share(grey),
        "grey_rectangle": rectangle_share(grey),
        "unchanged_frames": float(not grey.any()),
    }
    found |= {f"grey_tiles_{side}": share(tiles(grey, side)) for side in TILES}
    red, sampled = np.ascontiguousarray(rgb[::2, ::2, 0]), np.ascontiguousarray(grey[::2, ::2])
    of_red = sampled_shares(red)
    # In most games what changes in grey changes in red as well.
    of_grey = of_red if np.array_equal(red, sampled) else sampled_shares(sampled)
    found |= {f"red_{name}": value for name, value in of_red.items()}
    found |= {f"grey_{name}": value for name, value in of_grey.items()}
    return found


def sampled_shares(changed: Mask) -> dict[str, float]:
    """Of every second pixel (given) and every fourth: how many, and what two 3x3 layers make."""
    found = {}
    for by, small in ((2, changed), (4, np.ascontiguousarray(changed[::2, ::2]))):
        second = dilated(small, 5)
        found[f"d{by}_pixels"] = share(small)
        found[f"d{by}_second"] = share(second)
        found[f"d{by}_second_rectangle"] = rectangle_share(second)
    return found
