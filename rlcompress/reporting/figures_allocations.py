"""The figure of how layers share what is kept: one line per allocation; groups no runs itself."""

from __future__ import annotations

from typing import Any

from rlcompress.evaluation import plots
from rlcompress.evaluation.statistics import estimate
from rlcompress.reporting.render import Panel, Picture
from rlcompress.reporting.sweep import Sweep, returns

SETTING = "allocation="

_COLOURS = {
    "erdos_renyi": "pruned",
    "uniform": "good",
    "global": "reference",
    "erdos_renyi_paper": "pruned-3",
}
"""Allocations and names of colours, in the order of the legend."""


def return_by_allocation(sweep: Sweep) -> Picture | None:
    """One panel per environment; None where the runs of none differ in their allocation."""
    panels = []
    for env in sweep.environments:
        series = _series(sweep, env)
        if len(series) < 2:
            continue
        dense = sweep.dense().get(env)
        level = None if dense is None else estimate({env: dense}, how=sweep.how)

        def draw(figure: Any, series: Any = series, level: Any = level, env: str = env) -> None:
            plots.return_against_sparsity(figure.subplots(), series, level, title=env)

        panels.append(Panel(env, draw, spoken=f"Return by allocation in {env}"))
    if not panels:
        return None
    caption = (
        "How the layers share the weights that are kept. Lines join interquartile means over runs, "
        f"bars are their {sweep.confidence} bootstrap intervals; with fewer than five runs, every "
        "run is a dot and there is no interval. Last checkpoints."
    )
    return Picture("return_by_allocation", "Return by allocation", caption, tuple(panels))


def _series(sweep: Sweep, env: str) -> list[plots.Series]:
    found: dict[tuple[str, str], list[plots.Point]] = {}
    for condition, runs in sweep.of(env).items():
        values = returns(runs)
        name = condition.extra.removeprefix(SETTING)
        if name not in _COLOURS or not condition.sparsity or not values.size:
            continue
        point = plots.Point(condition.sparsity, values, estimate({env: values}, how=sweep.how))
        found.setdefault((name, condition.final), []).append(point)
    ordered = sorted(found.items(), key=lambda item: list(_COLOURS).index(item[0][0]))
    return [
        plots.Series(
            name.replace("_", " ") + (f", {final}" if final != "pruned" else ""),
            _COLOURS[name],
            tuple(points),
            dashed=final != "pruned",
        )
        for (name, final), points in ordered
    ]
