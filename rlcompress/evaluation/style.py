"""The one look of all figures: colours by name, light and dark, and matplotlib's settings.

Dense is grey, pruned blue, quantised orange, binary green, everywhere; where several
sparsities share a figure the sparser one is the stronger shade. Figures are drawn in the light
colours; every one of them stands for a name, so that a page can put the dark ones in their place.
Draws no data.
"""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS: dict[str, tuple[str, str]] = {
    "ink": ("#1c2024", "#e8eaed"),
    "muted": ("#5f656e", "#a3a9b3"),
    "line": ("#c9ced6", "#4a515c"),
    "grid": ("#e6e9ed", "#2b3038"),
    "surface": ("#ffffff", "#171a1f"),
    "band": ("#f3f5f8", "#1f242b"),
    "dense": ("#747b86", "#9aa2ad"),
    "pruned": ("#2368b0", "#6cadf2"),
    "quantised": ("#c9560b", "#ff9a4d"),
    "binary": ("#0b7d7b", "#4fc9c4"),
    "reference": ("#8558b5", "#bb9ae6"),
    "good": ("#1b7a4b", "#5cc58e"),
    "bad": ("#b42a22", "#f28b82"),
    "pruned-1": ("#a5c8ee", "#2c4a6b"),
    "pruned-2": ("#82b1e4", "#365d88"),
    "pruned-3": ("#5f99d9", "#4071a6"),
    "pruned-4": ("#3f82cb", "#4c87c4"),
    "pruned-5": ("#2469b1", "#5c9fe2"),
    "pruned-6": ("#174f8b", "#84bdf7"),
    "pruned-7": ("#0d3866", "#b3d7fc"),
    "quantised-1": ("#f7c9a3", "#6b4526"),
    "quantised-2": ("#f3ae77", "#87542a"),
    "quantised-3": ("#eb914c", "#a6652d"),
    "quantised-4": ("#df7425", "#c67832"),
    "quantised-5": ("#c8570c", "#e68c3c"),
    "quantised-6": ("#9c4006", "#fba55a"),
    "quantised-7": ("#702c02", "#ffc796"),
}
"""Name: (on light, on dark). The light ones differ from one another, so that they tell the name."""

SHADES = 7
UNPRUNED = ("dense", "binary")
"""Kinds without a sparsity, and so without shades of it."""
FONT = ("DejaVu Sans",)
PIXELS_PER_INCH = 72
"""Sizes below are CSS pixels: one point of matplotlib's SVG is one of them."""

LETTER, HANDLE = 6.4, 40.0
"""Width of a letter of a legend, and of what stands before its text."""

TITLE_LETTER = 9.5
"""Width of a panel for each letter of a title's line, what is left of the axes included."""

PANEL = (410, 310)
"""Width and height of one panel; at a phone's width its text is still readable."""


def colour(name: str) -> str:
    """The light colour of that name."""
    return COLOURS[name][0]


def shade(kind: str, rank: int, levels: int) -> str:
    """The colour of a kind of policy at the ``rank``-th (from 0) of ``levels`` sparsities.

    Levels that are few are spread over the shades, the palest left out; what is never pruned, dense
    and binary, has one shade.
    """
    if kind in UNPRUNED:
        return colour(kind)
    if levels <= 1:
        return colour(kind)
    first = 1 if levels >= SHADES else 2
    index = first + round(rank * (SHADES - first) / (levels - 1))
    return colour(f"{kind}-{min(index, SHADES)}")


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib with this look, without a display, for the time of the block."""
    import matplotlib

    with matplotlib.rc_context(dict(_SETTINGS)):
        yield


def new_figure(width: float = PANEL[0], height: float = PANEL[1]) -> Figure:
    """An empty figure, sizes in pixels; belongs inside ``drawing()``."""
    from matplotlib.figure import Figure

    size = (width / PIXELS_PER_INCH, height / PIXELS_PER_INCH)
    return Figure(figsize=size, dpi=PIXELS_PER_INCH, layout="constrained")


def tidy(axes: Any, *, grid: str = "y") -> None:
    """Only the frame's lower and left side, and a pale grid along ``grid`` (x, y, both, none)."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if grid != "none":
        axes.grid(visible=True, axis=grid, color=colour("grid"), linewidth=0.9)
    axes.tick_params(length=0, pad=5)


def legend_above(axes: Any, title: str, columns: int = 4) -> None:
    """The legend in rows above the axes, in as many columns as fit, and the title above it.

    A title that is too long for one line has several.
    """
    handles, labels = axes.get_legend_handles_labels()
    longest = max(map(len, labels), default=0)
    columns = max(1, min(columns, int(axes.figure.bbox.width / (LETTER * longest + HANDLE))))
    rows = -(-len(handles) // columns)
    lines = textwrap.wrap(title, int(axes.figure.bbox.width / TITLE_LETTER))
    axes.set_title("\n".join(lines), pad=12 + 17 * rows)
    if handles:
        # Matplotlib fills columns first; people read rows.
        order = [i for c in range(columns) for i in range(c, len(handles), columns)]
        axes.legend(
            [handles[i] for i in order],
            [labels[i] for i in order],
            loc="lower left",
            bbox_to_anchor=(-0.02, 1.0),
            ncols=columns,
            handlelength=1.3,
            columnspacing=1.2,
            labelspacing=0.3,
            borderaxespad=0.2,
        )


def keep_labels_apart(heights: Sequence[float], gap: float) -> list[float]:
    """Heights at least ``gap`` from one another, in the same order, moved as little as may be."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = [heights[i] for i in order]
    for _ in range(50):
        for low, high in zip(range(len(placed)), range(1, len(placed)), strict=False):
            overlap = gap - (placed[high] - placed[low])
            if overlap > 0:
                placed[low] -= overlap / 2
                placed[high] += overlap / 2
    found = [0.0] * len(heights)
    for position, i in enumerate(order):
        found[i] = placed[position]
    return found


_SETTINGS: Any = {
    "font.family": list(FONT),
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 12,
    "axes.labelcolor": COLOURS["muted"][0],
    "axes.edgecolor": COLOURS["line"][0],
    "axes.facecolor": "none",
    "axes.titlecolor": COLOURS["ink"][0],
    "figure.facecolor": COLOURS["surface"][0],
    "text.color": COLOURS["ink"][0],
    "xtick.color": COLOURS["muted"][0],
    "ytick.color": COLOURS["muted"][0],
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 11.5,
    "legend.frameon": False,
    "legend.fontsize": 11.5,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "svg.hashsalt": "rlcompress",
}
