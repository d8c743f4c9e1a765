"""The report's figures of single policies: masks, quantisation, latency; draws through plots."""

from __future__ import annotations

from typing import Any

from rlcompress.artifact import CompressedPolicy
from rlcompress.evaluation import plots_policy
from rlcompress.evaluation.style import PANEL, colour, shade
from rlcompress.reporting.details import quantisation_errors
from rlcompress.reporting.render import Panel, Picture
from rlcompress.reporting.run import ARTIFACT, PROBE, Run
from rlcompress.reporting.sweep import Sweep

EXAMPLES = 6
"""Most runs shown one by one (masks, quantisation errors, probes)."""


def masks(sweep: Sweep) -> Picture | None:
    """The weights that are left, as pictures, of one run per environment."""
    panels = []
    for run in _examples(sweep):
        try:
            policy = CompressedPolicy.load(run.path / ARTIFACT)
        except (ValueError, OSError):
            continue
        if policy.linears:  # A network of single bits keeps every weight.
            panels.append(_mask_panel(run, policy))
    if not panels:
        return None
    caption = (
        "One row per output and one column per input of a layer, coloured where a weight is kept, "
        "after dead units were removed. The sparsest run of each environment, first seed."
    )
    return Picture("masks", "Masks", caption, tuple(panels))


def _mask_panel(run: Run, policy: CompressedPolicy) -> Panel:
    layers = policy.linears
    title = f"{run.env}, {run.sparsity:g}, seed {run.seed}"

    def draw(figure: Any) -> None:
        figure.suptitle(title, x=0.02, ha="left", fontsize=13, fontweight="bold")
        columns = min(3, len(layers))
        grid = figure.subplots(-(-len(layers) // columns), columns, squeeze=False).ravel()
        for axes in grid[len(layers) :]:
            axes.set_axis_off()
        for axes, layer in zip(grid, layers, strict=False):
            plots_policy.mask_picture(axes, layer.matrix, kind=run.kind)
            rows, inputs = layer.matrix.shape
            axes.set_xlabel(
                f"{plots_policy.short_layer(layer.name)}\n{rows} x {inputs}", fontsize=11
            )

    height = 70 + 170 * -(-len(layers) // 3)
    return Panel(title, draw, (PANEL[0], height), f"Kept weights of each layer, {title}")


def _examples(sweep: Sweep) -> list[Run]:
    """The sparsest run with an artifact of each environment, quantised if possible."""
    found = []
    for env in sweep.environments:
        runs = [run for run in sweep.runs if run.env == env and run.has(ARTIFACT)]
        if runs:
            order = {"quantised": 2, "ptq": 1}
            best = max(runs, key=lambda r: (r.sparsity, order.get(r.final, 0), -r.seed))
            found.append(best)
    return found[:EXAMPLES]


def quantisation(sweep: Sweep) -> Picture | None:
    """Returns before and after quantisation-aware training, and the error of each tensor."""
    panels = [panel for env in sweep.environments if (panel := _onset_panel(sweep, env))]
    for run in _examples(sweep):
        errors = quantisation_errors(run) if run.final == "quantised" else {}
        if errors:
            panels.append(_error_panel(run, errors))
    if not panels:
        return None
    caption = (
        "The same runs at T, after quantisation-aware training, and as the integer artifact (last "
        "checkpoints). The error of a tensor is what rounding changes in it, as TensorBoard "
        "recorded it last: weights filled, activations hollow."
    )
    return Picture("quantisation", "Quantisation", caption, tuple(panels))


def _onset_panel(sweep: Sweep, env: str) -> Panel | None:
    rows = []
    for condition, runs in sweep.of(env).items():
        if condition.final != "quantised":
            continue
        stages = [_stages(run) for run in runs]
        values = [stage for stage in stages if stage is not None]
        shown = colour("quantised-2")
        if condition.sparsity:
            rank = sweep.rank(condition.sparsity)
            shown = shade("quantised", rank, len(sweep.sparsities))
        if values:
            words = [f"{condition.sparsity:g}", condition.extra]
            rows.append((", ".join(word for word in words if word), shown, values))
    if not rows:
        return None

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        stages = ("before", "quantised", "artifact")
        plots_policy.before_and_after(axes, rows, stages, title=env)

    return Panel(env, draw, spoken=f"Return before and after quantisation in {env}")


def _stages(run: Run) -> tuple[float, ...] | None:
    names = ("pruned" if run.sparsity else "dense", "quantised", ".rlc")
    rows = [run.result(name) for name in names]
    found = tuple(row.return_mean for row in rows if row is not None)
    return found if len(found) == len(names) else None


def _error_panel(run: Run, errors: dict[str, float]) -> Panel:
    title = f"Rounding error, {run.env}, {run.sparsity:g}"

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        plots_policy.quantisation_error(axes, errors)
        figure.suptitle(title, x=0.02, ha="left", fontsize=13, fontweight="bold")

    return Panel(title, draw, (PANEL[0], 110 + 30 * len(errors)), title)


def probes(sweep: Sweep) -> Picture | None:
    """Latency of each backend, from the probes of a few runs."""
    panels = []
    for run in (run for run in sweep.runs if run.has(PROBE)):
        record = run.read_json(PROBE)
        rows = [
            row
            for row in record.get("rows", ())
            if (row.get("level"), row.get("batch")) == ("policy", 1) and row.get("p50_us")
        ]
        if rows:
            panels.append(_probe_panel(run, sorted(rows, key=lambda row: float(row["p50_us"]))))
        if len(panels) == EXAMPLES:
            break
    if not panels:
        return None
    caption = (
        "Every call of the probe, log scale: observation in, action out, batch 1. Dot: median, "
        "line to the 99th percentile where it can be estimated. Orange is rlcompress, grey peers."
    )
    return Picture("latency", "Latency", caption, tuple(panels))


def _probe_panel(run: Run, rows: list[dict[str, Any]]) -> Panel:
    title = f"{run.env}, {run.sparsity:g}, seed {run.seed}"

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        plots_policy.latency(axes, rows)
        figure.suptitle(title, x=0.02, ha="left", fontsize=13, fontweight="bold")

    return Panel(title, draw, (PANEL[0], 110 + 34 * len(rows)), f"Latency of each backend, {title}")
