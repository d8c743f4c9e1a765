"""The figure of how layers share what is kept: one line per allocation; groups no runs itself."""

from __future__ import annotations

from collections.abc import Callable
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


def return_by_allocation(sweep: Sweep, titled: Callable[[str], str] = str) -> Picture | None:
    """One panel per environment; None where the runs of none differ in their allocation.

    ``titled`` makes a panel's title of its environment.
    """
    panels = []
    for env in sweep.environments:
        series = _series(sweep, env)
        if not series:
            continue
        dense = sweep.dense().get(env)
        level = None if dense is None else estimate({env: dense}, how=sweep.how)

        def draw(figure: Any, series: Any = series, level: Any = level, env: str = env) -> None:
            plots.return_against_sparsity(figure.subplots(), series, level, title=titled(env))

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
    """A line per allocation, kind and what else there is; [] where all share one allocation."""
    found: dict[tuple[str, str], list[plots.Point]] = {}
    for condition, runs in sweep.of(env).items():
        values, name = returns(runs), runs[0].allocation
        if name not in _COLOURS or not condition.sparsity or not values.size:
            continue
        words = [word for word in condition.extra.split(", ") if not word.startswith(SETTING)]
        words += [condition.final] * (condition.final != "pruned")
        point = plots.Point(condition.sparsity, values, estimate({env: values}, how=sweep.how))
        found.setdefault((name, ", ".join(filter(None, words))), []).append(point)
    if len({name for name, _ in found}) < 2:
        return []
    ordered = sorted(found.items(), key=lambda item: list(_COLOURS).index(item[0][0]))
    return [
        plots.Series(
            ", ".join(filter(None, (name.replace("_", " "), others))),
            _COLOURS[name],
            tuple(points),
            dashed=bool(others),
        )
        for (name, others), points in ordered
    ]
