"""The report's figures of training: curves, schedule, timeline, layers; draws through plots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rlcompress.evaluation import plots_policy, plots_training
from rlcompress.evaluation.curves import mean_curve
from rlcompress.evaluation.plots_training import Lines
from rlcompress.evaluation.resampling import ENOUGH_RUNS
from rlcompress.evaluation.style import PANEL, UNPRUNED
from rlcompress.reporting.details import schedule_of
from rlcompress.reporting.render import Panel, Picture
from rlcompress.reporting.run import Run
from rlcompress.reporting.sweep import Condition, Sweep

TIMELINES = 6
"""Most environments whose timeline is drawn."""

_CURVES, _STRIP = (PANEL[0], 360), (PANEL[0], 160)


def learning_curves(sweep: Sweep) -> Picture | None:
    """Return over training with the pruning schedule under it, per environment and kind."""
    panels = []
    for env in sweep.environments:
        curves = {c: found for c, found in sweep.curves(env).items() if found}
        for name, chosen in _split(curves).items():
            lines = []
            for condition in chosen:
                found = curves[condition]
                shown = [mean_curve(found, sweep.how)] if len(found) >= ENOUGH_RUNS else found
                rank, levels = sweep.rank(condition.sparsity), len(sweep.sparsities)
                label = (
                    condition.final if condition.final in UNPRUNED else f"{condition.sparsity:g}"
                )
                lines.append(Lines(label, condition.sparsity, tuple(shown), rank, levels))
            run = max(sweep.groups[env, chosen[-1]], key=lambda run: run.length)
            panels.append(_curve_panel(f"{env}, {name}", run, lines))
    if not panels:
        return None
    each, most = sweep.curves_each, max(len(runs) for runs in sweep.groups.values())
    read = f" Of each condition {each} runs are read." if each < most else ""
    caption = (
        "Grey while dense, blue from the first pruning step on, orange once quantised; stronger is "
        "sparser, and the number at the end of a line is its sparsity. Lines are means over runs "
        f"with {sweep.confidence} bootstrap bands, or every run where there are fewer than five."
        f"{read} Below: the sparsity that the schedule asks for."
    )
    return Picture("learning_curves", "Learning curves", caption, tuple(panels))


def _split(conditions: Iterable[Condition]) -> dict[str, list[Condition]]:
    """Conditions with and without quantisation apart, so that lines stay readable."""
    found: dict[str, list[Condition]] = {}
    for condition in conditions:
        name = condition.final if condition.final in ("quantised", "binary") else "not quantised"
        key = ", ".join([name, condition.extra]) if condition.extra else name
        found.setdefault(key, []).append(condition)
    return found


def _curve_panel(title: str, run: Run, lines: list[Lines]) -> Panel:
    schedule, total, length = schedule_of(run), run.total_timesteps, run.length

    def draw(figure: Any) -> None:
        plots_training.draw_run(figure, lines, schedule, total=total, length=length, title=title)

    return Panel(title, draw, _CURVES, f"Return over training, {title}")


def schedules(sweep: Sweep) -> Picture:
    """The pruning schedule and the timeline of a run, the paper's Figures 2 and 3."""
    panels = []
    if sweep.sparsities:
        example = next(run for run in sweep.runs if run.sparsity > 0)
        schedule = schedule_of(example)

        def draw(figure: Any) -> None:
            axes = figure.subplots()
            plots_training.pruning_schedule(axes, schedule, sweep.sparsities)
            axes.set_title("Pruning schedule")

        panels.append(Panel("Pruning schedule", draw, spoken="Sparsity over training"))
    panels += [_timeline_panel(run) for run in _longest(sweep)]
    caption = (
        "All fractions are of T, the training length without the steps that quantisation-aware "
        "training adds. Masks change between the vertical lines only."
    )
    return Picture("schedule", "Schedule and timeline", caption, tuple(panels))


def _longest(sweep: Sweep) -> list[Run]:
    """One run per environment: the one that goes through most phases."""
    found = []
    for env in sweep.environments[:TIMELINES]:
        runs = [run for run in sweep.runs if run.env == env and run.final != "binary"]
        if runs:
            found.append(max(runs, key=lambda run: (run.final == "quantised", run.sparsity > 0)))
    return found


def _timeline_panel(run: Run) -> Panel:
    schedule = schedule_of(run) if run.sparsity > 0 else None
    qat = run.final == "quantised"

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        plots_training.timeline(axes, schedule, run.total_timesteps, run.length, qat=qat)
        axes.set_title(f"Timeline, {run.env}")

    return Panel(f"Timeline, {run.env}", draw, _STRIP, f"Phases of training in {run.env}")


def layer_sparsities(sweep: Sweep) -> Picture | None:
    """How the allocation shares each sparsity among the layers, per environment."""
    panels = []
    for env in sweep.environments:
        rows: list[tuple[str, int, int, list[float]]] = []
        names: list[str] = []
        for condition, runs in sweep.of(env).items():
            layers = [layer for layer in runs[0].layers if not layer.excluded]
            if condition.kind == "dense" or not layers or not condition.sparsity:
                continue
            label = ", ".join(
                [f"{condition.sparsity:g}"] + [condition.extra] * bool(condition.extra)
            )
            if any(row[0] == label for row in rows):
                continue
            names = [layer.layer for layer in layers]
            rank, levels = sweep.rank(condition.sparsity), len(sweep.sparsities)
            rows.append((label, rank, levels, [layer.sparsity for layer in layers]))
        if rows:
            panels.append(_layer_panel(env, names, rows))
    if not panels:
        return None
    caption = "Fraction of zeros in each layer at the end of pruning; colours are the sparsities."
    return Picture("layers", "Sparsity per layer", caption, tuple(panels))


def _layer_panel(env: str, names: list[str], rows: list[Any]) -> Panel:
    def draw(figure: Any) -> None:
        axes = figure.subplots()
        plots_policy.layer_sparsity(axes, names, rows, title=env)

    return Panel(env, draw, (PANEL[0], 160 + 34 * len(names)), f"Sparsity per layer in {env}")
