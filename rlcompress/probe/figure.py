"""Draws the latency distributions of a probe's record, one panel per level; measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rlcompress.probe.registry import LEVELS
from rlcompress.probe.summary import BINS_PER_DECADE
from rlcompress.probe.tables import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "ours": "#0b7a75",
    "policy": "#d98324",
    "whole": "#d98324",
    "filled": "#7c9a92",
    "floating": "#7a8ba6",
}
"""This package's own, others in int8 (with or without dead units), our dense int8, float32."""

LABELS = {
    "ours": "rlcompress",
    "policy": "others, int8",
    "whole": "others, int8",
    "filled": "rlcompress, no zeros",
    "floating": "float32",
}
TITLES = {
    "policy": "policy: observation in, action out",
    "actor": "actor: the network with its head",
    "kernel": "kernel: without Python",
}
_ROW_INCHES = 0.27
SMOOTHING_BINS = 2


def latency_figure(
    record: Mapping[str, Any],
    levels: Sequence[str] = LEVELS,
    batch: int | None = None,
    colours: Mapping[str, str] = COLOURS,
) -> Figure:
    """A figure of the rows at ``levels`` and ``batch`` (None: the record's first).

    Raises:
        ValueError: where there are no such rows.
    """
    from matplotlib.figure import Figure

    rows = record["rows"]
    if batch is None and rows:
        batch = rows[0]["batch"]
    panels = {level: _rows(rows, level, batch) for level in levels}
    panels = {level: found for level, found in panels.items() if found}
    if not panels:
        raise ValueError(f"the record has no rows at {', '.join(levels)} with batch {batch}")
    heights = [len(found) + 1.5 for found in panels.values()]
    figure = Figure(figsize=(8.5, _ROW_INCHES * sum(heights) + 1.1), layout="constrained")
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)
    for axes, (level, found) in zip(grid[:, 0], panels.items(), strict=True):
        draw_panel(axes, found, colours)
        axes.set_title(TITLES[level], loc="left", fontsize=9)
    grid[-1, 0].set_xlabel("microseconds per call, logarithmic; mark: median, thin line: to p99.9")
    subject = record["subject"]
    figure.suptitle(f"{subject['name']}, sparsity {subject['sparsity']:.3g}, batch {batch}")
    everything = [row for found in panels.values() for row in found]
    figure.legend(
        handles=_patches(everything, colours),
        ncols=4,
        fontsize=8,
        loc="outside lower center",
        frameon=False,
    )
    return figure


def draw_panel(
    axes: Axes, rows: Sequence[Mapping[str, Any]], colours: Mapping[str, str] = COLOURS
) -> None:
    """One distribution per row, the first on top."""
    for place, row in enumerate(reversed(rows)):
        colour = colours[kind_of(row)]
        centres, widths = _density(row["histogram"])
        axes.fill_between(
            centres,
            place - 0.4 * widths,
            place + 0.4 * widths,
            color=colour,
            alpha=0.6,
            linewidth=0,
        )
        last = _last(row)
        axes.plot([row["min_us"], last], [place, place], color=colour, linewidth=1)
        axes.plot([row["p50_us"]], [place], marker="|", color="black", markersize=7)
        axes.annotate(
            f"{shown(row['p50_us'])}",
            (last, place),
            xytext=(5, 0),
            textcoords="offset points",
            fontsize=7,
            va="center",
        )
    axes.set_xscale("log")
    # A single slow call would leave half of the panel empty.
    axes.set_xlim(min(row["min_us"] for row in rows) / 1.5, 3 * max(_last(row) for row in rows))
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(range(len(rows)), [row["backend"] for row in reversed(rows)], fontsize=8)
    axes.grid(axis="x", which="major", alpha=0.3)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def kind_of(row: Mapping[str, Any]) -> str:
    """Which colour a row has."""
    return "ours" if row["ours"] and row["form"] == "policy" else str(row["form"])


def _last(row: Mapping[str, Any]) -> float:
    """The highest percentile that is known."""
    return float(row["p999_us"] or row["p99_us"] or row["p90_us"] or row["max_us"])


def _rows(rows: Sequence[Mapping[str, Any]], level: str, batch: int | None) -> list[Any]:
    found = [row for row in rows if row["level"] == level and row["batch"] == batch]
    return sorted(found, key=lambda row: row["p50_us"])


def _density(histogram: Mapping[str, Any]) -> tuple[Any, Any]:
    """Middles of bins and how many calls lie near them, smoothed; the most is 1."""
    reach = 3 * SMOOTHING_BINS
    counts = np.pad(np.array(histogram["counts"], float), reach)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTHING_BINS) ** 2)
    smooth = np.convolve(counts, kernel, mode="same")
    first = histogram["first"] - reach + 0.5
    centres = 10.0 ** ((first + np.arange(len(counts))) / BINS_PER_DECADE)
    return centres, smooth / smooth.max()


def _patches(rows: Sequence[Mapping[str, Any]], colours: Mapping[str, str]) -> list[Any]:
    from matplotlib.patches import Patch

    kinds = {kind_of(row) for row in rows}
    # Kinds that look alike share a line.
    lines = {LABELS[kind]: colours[kind] for kind in colours if kind in kinds}
    return [Patch(color=colour, label=label) for label, colour in lines.items()]
