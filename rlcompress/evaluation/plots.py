"""Figures of results: return against sparsity, size or latency, aggregates, profiles.

Each function draws onto axes that it is given, inside ``style.drawing()``; numbers come from
``statistics.py``, and an ``Estimate`` without an interval is drawn as the points of its runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlcompress.evaluation.resampling import FloatArray
from rlcompress.evaluation.statistics import Estimate
from rlcompress.evaluation.style import colour, keep_labels_apart, legend_above, tidy

_REFERENCE_STYLES = ((0, (4, 3)), (0, (1, 2)), (0, (8, 2, 1, 2)))
_MARKERS = {"quantised": "s", "binary": "^"}
_APART = 0.011
"""Between marks of one sparsity, as a part of the axis."""

_GUIDES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


@dataclass(frozen=True)
class Point:
    """One condition: where it lies on the horizontal axis, its runs, their estimate.

    ``best`` is the estimate for the best checkpoints, where it is shown as well.
    """

    x: float
    runs: FloatArray
    estimate: Estimate
    label: str = ""
    best: float | None = None


@dataclass(frozen=True)
class Series:
    """Points that belong together: ``kind`` (dense, pruned, quantised, binary) gives the look."""

    label: str
    kind: str
    points: tuple[Point, ...]
    dashed: bool = False


def kept_axis(sparsity: float) -> float:
    """Where a sparsity lies on an axis that gives each halving of the weights the same room."""
    return float(-np.log2(1.0 - sparsity))


def return_against_sparsity(
    axes: Any,
    series: Sequence[Series],
    dense: Estimate | None = None,
    *,
    reference: Mapping[str, Mapping[float, float]] | None = None,
    title: str = "",
    ylabel: str = "return",
) -> None:
    """The form of the paper's Figures 4 to 6: one line per kind, the dense mean as a level.

    ``reference`` holds published curves, {label: {sparsity: return}}, drawn as thin broken lines.
    """
    tidy(axes)
    plain_numbers(axes)
    _dense_level(axes, dense)
    for style, (label, curve) in enumerate((reference or {}).items()):
        points = sorted(curve.items())
        axes.plot(
            [kept_axis(s) for s, _ in points],
            [value for _, value in points],
            color=colour("reference"),
            linewidth=1.3,
            linestyle=_REFERENCE_STYLES[style % len(_REFERENCE_STYLES)],
            label=label,
        )
    found = {point.x for one in series for point in one.points}
    shown = sorted(found | {s for curve in (reference or {}).values() for s in curve})
    for number, one in enumerate(series):
        offset = _APART * _span(shown) * (number - (len(series) - 1) / 2)
        _draw_series(axes, one, [kept_axis(point.x) + offset for point in one.points])
    _sparsity_ticks(axes, shown)
    axes.set(xlabel="sparsity", ylabel=ylabel)
    axes.margins(x=0.06, y=0.12)
    legend_above(axes, title)


def pareto(
    axes: Any, series: Sequence[Series], *, title: str, xlabel: str, ylabel: str = "return"
) -> None:
    """Return against a cost (bytes, microseconds), log scale; the front of what nothing beats."""
    tidy(axes, grid="both")
    plain_numbers(axes)
    points = [(point, one) for one in series for point in one.points]
    front = pareto_front([(point.x, point.estimate.value) for point, _ in points])
    steps = sorted((points[i][0].x, points[i][0].estimate.value) for i in front)
    axes.plot(
        [x for x, _ in steps],
        [y for _, y in steps],
        color=colour("muted"),
        linewidth=1.2,
        linestyle=(0, (2, 2)),
        drawstyle="steps-post",
        zorder=1.5,
    )
    for one in series:
        _draw_series(axes, one, [point.x for point in one.points], line=False)
    axes.set_xscale("log")
    axes.margins(x=0.14, y=0.16)
    _label_points(axes, [points[i] for i in front])
    axes.set(xlabel=xlabel, ylabel=ylabel)
    _plain_log_ticks(axes)
    legend_above(axes, title)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that none beats: no dearer and no worse, and one of both better."""
    found = []
    for i, (cost, value) in enumerate(points):
        beaten = any(
            c <= cost and v >= value and (c < cost or v > value)
            for j, (c, v) in enumerate(points)
            if j != i
        )
        if not beaten:
            found.append(i)
    return found


def aggregate_estimates(
    axes: Any, estimates: Sequence[tuple[str, str, Estimate]], *, title: str, target: float
) -> None:
    """One row per condition, (label, colour, estimate): the estimate and its interval."""
    tidy(axes, grid="x")
    axes.axvline(target, color=colour("dense"), linewidth=1.2, linestyle=(0, (4, 3)))
    for row, (_, shown, found) in enumerate(estimates):
        if found.interval is not None:
            ends = [found.interval.low, found.interval.high]
            axes.plot(ends, [row, row], color=shown, linewidth=6, alpha=0.35, zorder=2)
        axes.plot(found.value, row, "o", color=shown, markersize=7, zorder=3)
    axes.set_yticks(range(len(estimates)), [label for label, _, _ in estimates])
    axes.set_ylim(len(estimates) - 0.4, -0.6)
    axes.margins(x=0.1)
    axes.set_title(title)


def performance_profiles(
    axes: Any,
    thresholds: FloatArray,
    profiles: Sequence[tuple[str, str, FloatArray, tuple[FloatArray, FloatArray] | None]],
) -> None:
    """Fraction of runs above each normalised score: (label, colour, fractions, both bounds)."""
    tidy(axes, grid="both")
    axes.axvline(1.0, color=colour("dense"), linewidth=1.2, linestyle=(0, (4, 3)))
    for label, shown, fractions, bounds in profiles:
        if bounds is not None:
            axes.fill_between(
                thresholds, *bounds, color=shown, alpha=0.15, linewidth=0, step="post"
            )
        axes.plot(thresholds, fractions, color=shown, label=label, drawstyle="steps-post")
    axes.set(xlabel="normalised return t", ylabel="runs above t", ylim=(-0.03, 1.03))
    axes.margins(x=0)
    legend_above(axes, "performance profile", columns=3)


def _draw_series(axes: Any, one: Series, positions: Sequence[float], *, line: bool = True) -> None:
    shown = colour(one.kind)
    values = [point.estimate.value for point in one.points]
    for x, point in zip(positions, one.points, strict=True):
        if point.estimate.interval is not None:
            ends = [point.estimate.interval.low, point.estimate.interval.high]
            axes.plot([x, x], ends, color=shown, linewidth=6, alpha=0.3, zorder=2)
        else:
            same = [x] * len(point.runs)
            axes.plot(same, point.runs, "o", color=shown, markersize=4, alpha=0.55, zorder=2)
        if point.best is not None:
            axes.plot(
                x,
                point.best,
                marker="D",
                markersize=4.5,
                markerfacecolor=colour("surface"),
                markeredgecolor=shown,
                linestyle="none",
                zorder=2.5,
            )
    axes.plot(
        positions,
        values,
        color=shown,
        linewidth=2.0 if line else 0.0,
        linestyle=(0, (5, 3)) if one.dashed else "-",
        marker=_MARKERS.get(one.kind, "o"),
        markersize=6.5,
        label=one.label,
        zorder=3,
    )


def _dense_level(axes: Any, dense: Estimate | None) -> None:
    if dense is None:
        return
    if dense.interval is not None:
        ends = (dense.interval.low, dense.interval.high)
        axes.axhspan(*ends, color=colour("dense"), alpha=0.14, linewidth=0, zorder=0.8)
    axes.axhline(
        dense.value, color=colour("dense"), linewidth=1.4, linestyle=(0, (4, 3)), label="dense"
    )


def _label_points(axes: Any, points: Sequence[tuple[Point, Series]]) -> None:
    """Names above the points, those left out that would lie on one that is there already."""
    width, height = (np.ptp(axes.transAxes.transform([(0, 0), (1, 1)]), axis=0)).tolist()
    taken: list[tuple[float, float]] = []
    for point, one in sorted(points, key=lambda pair: -pair[0].estimate.value):
        found = point.estimate
        y = found.value if found.interval is None else found.interval.high
        at = axes.transData.transform((point.x, y))
        if any(abs(at[0] - x) < 0.085 * width and abs(at[1] - h) < 0.07 * height for x, h in taken):
            continue
        taken.append((float(at[0]), float(at[1])))
        axes.annotate(
            point.label,
            (point.x, y),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            color=colour(one.kind),
            fontsize=11,
        )


def _span(sparsities: Sequence[float]) -> float:
    """What the axis spans; 1 where it is a single sparsity."""
    if len(set(sparsities)) < 2:
        return 1.0
    return kept_axis(max(sparsities)) - kept_axis(min(sparsities))


def _sparsity_ticks(axes: Any, sparsities: Sequence[float]) -> None:
    """Ticks at the sparsities that there are, thinned out where their names would collide."""
    ticks: list[float] = []
    preferred = sorted(sparsities, key=lambda s: (s not in _GUIDES, -s))
    span = _span(sparsities)
    for sparsity in preferred:
        if all(abs(kept_axis(sparsity) - kept_axis(t)) > span * 0.075 for t in ticks):
            ticks.append(sparsity)
    axes.set_xticks([kept_axis(t) for t in ticks], [f"{t:g}" for t in ticks])


def _plain_log_ticks(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: short_number(x)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()


def plain_numbers(axes: Any) -> None:
    """Returns on the upright axis with their thousands apart."""
    from matplotlib.ticker import FuncFormatter

    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda y, _: f"{y:,.0f}" if abs(y) >= 1000 else f"{y:g}")
    )


def short_number(value: float) -> str:
    """A number for an axis: 300, 3k, 1M."""
    for limit, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:g}{letter}"
    return f"{value:g}"


def end_labels(axes: Any, labels: Sequence[tuple[float, float, str, str]], gap: float) -> None:
    """Names at the right ends of lines, (x, y, text, colour), kept ``gap`` apart."""
    heights = keep_labels_apart([y for _, y, _, _ in labels], gap)
    for (x, _, text, shown), y in zip(labels, heights, strict=True):
        axes.annotate(
            text,
            (x, y),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=shown,
            fontsize=11,
            annotation_clip=False,
        )
