"""Draws what a search over sparsities found; decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rlcompress.compress.outcome import Outcome


def draw_pareto(outcomes: Sequence[Outcome], tolerance: float, path: Path) -> None:
    """Return over bytes, each attempt with its sparsity and the interval of its difference."""
    # Without pyplot: no global state, no display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [found for found in outcomes if found.check is not None]
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for found in shown:
        assert found.check is not None
        good = found.within(tolerance)
        axes.errorbar(
            found.size_bytes,
            found.check.student_mean,
            yerr=found.check.half_width,
            fmt="o" if good else "x",
            color="tab:blue" if good else "tab:red",
            capsize=3,
        )
        axes.annotate(
            f"{found.sparsity:g}",
            (found.size_bytes, found.check.student_mean),
            textcoords="offset points",
            xytext=(6, 6),
        )
    if shown and shown[0].check is not None:
        mean = shown[0].check.teacher_mean
        axes.axhline(mean, color="gray", label="teacher")
        axes.axhline(mean - tolerance * abs(mean), color="gray", linestyle=":", label="tolerance")
        axes.legend()
    axes.set_xscale("log")
    axes.set_xlabel("bytes of the artifact")
    axes.set_ylabel("return")
    figure.savefig(path, dpi=120)
