"""The report's figures of results: what is plotted against what, for whom; draws through plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rlcompress.evaluation import plots
from rlcompress.evaluation.resampling import Bootstrap
from rlcompress.evaluation.statistics import (
    AGGREGATES,
    estimate,
    estimates,
    iqm,
    performance_profile,
    profile_bounds,
)
from rlcompress.evaluation.style import PANEL, UNPRUNED, colour, shade
from rlcompress.reporting.render import Panel, Picture
from rlcompress.reporting.run import PROBE, Run
from rlcompress.reporting.sweep import Condition, Sweep, returns, spread

PROBED_RUNS = 200
"""Most runs whose probe is read."""

_ORDER = {"dense": 0, "pruned": 1, "quantised": 2, "ptq": 3, "binary": 4}
"""Of the kinds in a legend."""


def _reading(sweep: Sweep) -> str:
    return (
        f"Marks are interquartile means over runs, bars their {sweep.confidence} bootstrap "
        "intervals; with fewer than five runs, every run is a dot and there is no interval."
    )


Published = Mapping[str, Mapping[str, Mapping[float, float]]]
"""Environment, name of a curve, sparsity: return."""


def return_against_sparsity(
    sweep: Sweep, published: Published | None = None, titled: Callable[[str], str] = str
) -> Picture | None:
    """One panel per environment, in the form of the paper's Figures 4 to 6, and its curves.

    Environments that have a published curve alone get a panel as well. ``titled`` makes a panel's
    title of its environment.
    """
    if not sweep.sparsities:
        return None
    panels = []
    for env in (*sweep.environments, *(e for e in published or {} if e not in sweep.environments)):
        series = _series(sweep, env, lambda condition, runs: condition.sparsity, best=True)
        dense = sweep.dense().get(env)
        level = None if dense is None else estimate({env: dense}, how=sweep.how)

        curves = (published or {}).get(env)

        def draw(
            figure: Any,
            series: Any = series,
            level: Any = level,
            env: str = env,
            curves: Any = curves,
        ) -> None:
            axes = figure.subplots()
            plots.return_against_sparsity(axes, series, level, reference=curves, title=titled(env))

        panels.append(Panel(env, draw, spoken=f"Return against sparsity in {env}"))
    caption = f"{_reading(sweep)} Diamonds: best checkpoints of the same phase. Dashed: dense runs."
    return Picture("return_vs_sparsity", "Return against sparsity", caption, tuple(panels))


def return_against_bytes(sweep: Sweep) -> Picture:
    """The Pareto front of return and stored bytes, one panel per environment."""
    caption = (
        f"{_reading(sweep)} Bytes are what is stored for the policy, indices, scales, biases and "
        "header included. The dotted line joins what nothing smaller beats; numbers are sparsities."
    )
    panels = _pareto_panels(sweep, _size_of, "bytes stored")
    return Picture("return_vs_bytes", "Return against bytes", caption, panels)


def return_against_latency(sweep: Sweep) -> Picture | None:
    """The Pareto front of return and the engine's latency, where runs were probed."""
    probed = [run for run in spread(sweep.runs, len(sweep.runs)) if run.has(PROBE)]
    latency = {run.path: engine_latency_us(run) for run in spread(probed, PROBED_RUNS)}
    if not any(value is not None for value in latency.values()):
        return None

    def cost(runs: tuple[Run, ...]) -> float | None:
        found = [value for run in runs if (value := latency.get(run.path)) is not None]
        return float(np.mean(found)) if found else None

    caption = (
        f"{_reading(sweep)} Latency is the native engine's median per action, observation in and "
        "action out, batch 1, as the probe of these runs measured it."
    )
    panels = _pareto_panels(sweep, cost, "microseconds per action")
    return Picture("return_vs_latency", "Return against latency", caption, panels)


def engine_latency_us(run: Run) -> float | None:
    """The engine's median time per action in the run's probe, None where it has none."""
    for row in run.read_json(PROBE).get("rows", ()):
        if (row.get("backend"), row.get("level"), row.get("batch")) == ("engine", "policy", 1):
            found: float | None = row.get("p50_us")
            return found
    return None


def aggregates(sweep: Sweep) -> Picture | None:
    """Aggregates over environments of normalised returns, and performance profiles."""
    found = {condition: sweep.normalised(condition) for condition in sweep.conditions}
    envs = {env for scores in found.values() for env in scores}
    # In a sweep half done, what only easy environments have would look better than the rest.
    rows = [
        (condition.label, _shade(sweep, condition), scores)
        for condition, scores in found.items()
        if scores and len(scores) == len(envs)
    ]
    if not rows:
        return None
    panels = []
    measured = [(label, shown, estimates(scores, sweep.how)) for label, shown, scores in rows]
    height = 90 + 22 * len(rows)
    for name in AGGREGATES:
        bars = [(label, shown, known[name]) for label, shown, known in measured]

        def draw(figure: Any, bars: Any = bars, name: str = name) -> None:
            target = 0.0 if name == "optimality gap" else 1.0
            plots.aggregate_estimates(figure.subplots(), bars, title=name, target=target)

        panels.append(Panel(name, draw, (PANEL[0], height), f"{name} of normalised returns"))
    panels.append(
        Panel(
            "performance profile", _profile_drawing(rows, sweep.how), (PANEL[0], max(height, 320))
        )
    )
    caption = (
        "Returns as parts of the environment's dense mean, 1 + (x - dense) / |dense|: the dashed "
        "line is as good as dense (for the optimality gap, the shortfall, that is 0). Over "
        f"{len(envs)} environment{'s' * (len(envs) != 1)}, conditions that are in all of them, "
        "last checkpoints, stratified "
        f"bootstrap intervals of {sweep.confidence} (of a profile at each threshold) where every "
        "environment has five runs."
    )
    return Picture("aggregates", "Aggregates and profiles", caption, tuple(panels))


def _profile_drawing(rows: list[tuple[str, str, Any]], how: Bootstrap) -> Callable[[Any], None]:
    values = np.concatenate([runs for _, _, scores in rows for runs in scores.values()])
    low, high = min(0.0, float(values.min())), max(1.0, float(values.max()))
    thresholds = np.linspace(low, high + 0.08 * (high - low), 200)
    lines = [
        (
            label,
            shown,
            performance_profile(scores, thresholds),
            profile_bounds(scores, thresholds, how),
        )
        for label, shown, scores in rows
    ]

    def draw(figure: Any) -> None:
        plots.performance_profiles(figure.subplots(), thresholds, lines)

    return draw


def _series(
    sweep: Sweep,
    env: str,
    place: Callable[[Condition, tuple[Run, ...]], float | None],
    *,
    best: bool = False,
) -> list[plots.Series]:
    """One series per kind and extra setting; points where ``place`` gives a position."""
    found: dict[tuple[str, str], list[plots.Point]] = {}
    for condition, runs in sweep.of(env).items():
        x, values = place(condition, runs), returns(runs)
        if x is None or not values.size or (best and condition.final == "dense"):
            continue
        others = returns(runs, "best")
        point = plots.Point(
            x,
            values,
            estimate({env: values}, how=sweep.how),
            condition.final if condition.final in UNPRUNED else f"{condition.sparsity:g}",
            iqm({env: others}) if best and others.size else None,
        )
        found.setdefault((condition.final, condition.extra), []).append(point)
    series: list[plots.Series] = []
    for (final, extra), points in sorted(found.items(), key=lambda item: _ORDER[item[0][0]]):
        kind = "quantised" if final == "ptq" else final
        words = ["quantised afterwards" if final == "ptq" else final, extra]
        label = ", ".join(word for word in words if word)
        dashed = final == "ptq" or any(one.kind == kind for one in series)
        series.append(plots.Series(label, kind, tuple(points), dashed))
    return series


def _pareto_panels(
    sweep: Sweep, cost: Callable[[tuple[Run, ...]], float | None], xlabel: str
) -> tuple[Panel, ...]:
    panels = []
    for env in sweep.environments:
        series = _series(sweep, env, lambda condition, runs: cost(runs))
        if not series:
            continue

        def draw(figure: Any, series: Any = series, env: str = env) -> None:
            axes = figure.subplots()
            plots.pareto(axes, series, title=env, xlabel=xlabel)

        panels.append(Panel(env, draw, spoken=f"Return against {xlabel} in {env}"))
    return tuple(panels)


def _size_of(runs: tuple[Run, ...]) -> float | None:
    rows = [run.result(run.final) for run in runs]
    found = [row.size_bytes for row in rows if row is not None]
    return float(np.mean(found)) if found else None


def _shade(sweep: Sweep, condition: Condition) -> str:
    if condition.final in UNPRUNED:
        return colour(condition.final)
    if not condition.sparsity:
        return colour("quantised-2")
    return shade(condition.kind, sweep.rank(condition.sparsity), len(sweep.sparsities))
