"""Figures of training: learning curves by phase, the pruning schedule, the timeline of a run.

Each function draws onto axes that it is given, inside ``style.drawing()``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlcompress.evaluation.curves import Curve
from rlcompress.evaluation.plots import end_labels, plain_numbers, short_number
from rlcompress.evaluation.style import colour, shade, tidy
from rlcompress.spec import PolynomialSchedule

_PHASE_KIND = {
    "dense": "dense",
    "pruning": "pruned",
    "pruned": "pruned",
    "quantised": "quantised",
    "binary": "binary",
}


@dataclass(frozen=True)
class Lines:
    """The runs of one condition: its mean curve, or each run's where they are too few.

    ``rank`` of ``levels`` is the sparsity's place among those shown together.
    """

    label: str
    sparsity: float
    curves: tuple[Curve, ...]
    rank: int = 0
    levels: int = 1


def learning_curves(axes: Any, lines: Sequence[Lines]) -> None:
    """Return over training, grey while dense, blue from pruning on, orange once quantised."""
    tidy(axes)
    ends = []
    for one in lines:
        for curve in one.curves:
            _draw_curve(axes, curve, one)
        ends.append(_end_of(one))
    plain_numbers(axes)
    low, high = axes.get_ylim()
    end_labels(axes, ends, gap=(high - low) * 0.075)
    axes.set_ylabel("return")


def draw_run(
    figure: Any,
    lines: Sequence[Lines],
    schedule: PolynomialSchedule,
    *,
    total: int,
    length: int,
    title: str,
) -> None:
    """Learning curves with the schedule under them and the phases marked, on an empty figure."""
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.4, 1])
    learning_curves(upper, lines)
    upper.set_title(title, pad=20)
    schedule_under(lower, schedule, total, length, lines)
    upper.set_xlim(0, length)
    if any(one.sparsity for one in lines):
        for axes in (upper, lower):
            mark_phases(axes, schedule, total, length, names=axes is upper)


def schedule_under(
    axes: Any, schedule: PolynomialSchedule, total: int, length: int, lines: Sequence[Lines]
) -> None:
    """The sparsity that the schedule asks for, on the steps of the axes above."""
    tidy(axes)
    steps = np.linspace(0, length, 400)
    for one in lines:
        if one.sparsity > 0:
            values = [schedule.sparsity_at(step / total, one.sparsity) for step in steps]
            axes.plot(steps, values, color=shade("pruned", one.rank, one.levels), linewidth=1.6)
    axes.set(xlabel="environment steps", ylabel="sparsity", ylim=(-0.04, 1.04), yticks=[0, 1])
    step_ticks(axes)


def mark_phases(
    axes: Any, schedule: PolynomialSchedule, total: int, length: int, *, names: bool
) -> None:
    """Thin lines where pruning begins and ends and where T is; their names above the axes."""
    marks = [(schedule.begin, "prune"), (schedule.end, "tune")]
    if length > total:
        marks.append((1.0, "T"))
    for fraction, name in marks:
        step = fraction * total
        axes.axvline(step, color=colour("line"), linewidth=1.0, linestyle=(0, (2, 2)), zorder=0.9)
        if names:
            axes.annotate(
                name,
                (step, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(3, 2),
                textcoords="offset points",
                color=colour("muted"),
                fontsize=10.5,
            )


def pruning_schedule(axes: Any, schedule: PolynomialSchedule, sparsities: Sequence[float]) -> None:
    """The paper's Figure 2: sparsity over the fraction of T, one line per final sparsity."""
    tidy(axes)
    progress = np.linspace(0, 1, 400)
    ends = []
    for rank, final in enumerate(sparsities):
        shown = shade("pruned", rank, len(sparsities))
        values = [schedule.sparsity_at(float(p), final) for p in progress]
        axes.plot(progress, values, color=shown)
        ends.append((1.0, values[-1], f"{final:g}", shown))
    end_labels(axes, ends, gap=0.065)
    for edge in (schedule.begin, schedule.end):
        axes.axvline(edge, color=colour("line"), linewidth=1.0, linestyle=(0, (2, 2)), zorder=0.9)
    axes.set(xlabel="part of T", ylabel="sparsity", xlim=(0, 1), ylim=(-0.03, 1.05))


def timeline(
    axes: Any, schedule: PolynomialSchedule | None, total: int, length: int, *, qat: bool
) -> None:
    """The paper's Figure 3: which phase a run is in, over its steps."""
    stop = total if qat else length
    begin, end = (schedule.begin * total, schedule.end * total) if schedule else (stop, stop)
    parts = [("dense", 0.0, begin, colour("dense"))]
    if schedule is not None:
        parts += [
            ("pruning", begin, end, colour("pruned-3")),
            ("pruned", end, stop, colour("pruned")),
        ]
    if length > total and qat:
        parts.append(("quantised", total, length, colour("quantised")))
    parts = [part for part in parts if part[2] > part[1]]
    for name, start, until, shown in parts:
        axes.barh(0, until - start, left=start, height=0.5, color=shown)
        axes.text(
            (start + until) / 2, 0.36, name, ha="center", va="bottom", color=shown, fontsize=12
        )
    edges = sorted({0.0, float(length), *(part[2] for part in parts)})
    axes.set_xticks(edges, [short_number(round(edge)) for edge in edges])
    axes.set(ylim=(-0.4, 0.75), xlim=(0, length), xlabel="environment steps")
    tidy(axes, grid="none")
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])


def step_ticks(axes: Any) -> None:
    """Steps as 20k or 1M."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: short_number(x)))


def _draw_curve(axes: Any, curve: Curve, one: Lines) -> None:
    faint = len(one.curves) > 1
    for phase, part in curve.by_phase():
        shown = _shade_of(phase, one)
        axes.plot(
            curve.steps[part],
            curve.returns[part],
            color=shown,
            linewidth=1.2 if faint else 2.0,
            alpha=0.75 if faint else 1.0,
            zorder=2 + one.rank / 100,
        )
        if curve.low is not None and curve.high is not None:
            axes.fill_between(
                curve.steps[part],
                curve.low[part],
                curve.high[part],
                color=shown,
                alpha=0.13,
                linewidth=0,
            )


def _shade_of(phase: str, one: Lines) -> str:
    kind = _PHASE_KIND.get(phase, "dense")
    if kind == "quantised" and one.sparsity == 0:
        return colour("quantised-3")
    return shade(kind, one.rank, one.levels)


def _end_of(one: Lines) -> tuple[float, float, str, str]:
    last = float(np.mean([curve.returns[-1] for curve in one.curves]))
    step = max(float(curve.steps[-1]) for curve in one.curves)
    return step, last, one.label, _shade_of(one.curves[0].phases[-1], one)
