"""The tables a compression ends with, for people and as JSON; measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from rlcompress.compress.outcome import Outcome


@dataclass(frozen=True)
class Line:
    """Teacher or student: returns in the same episodes, bytes, and microseconds per decision.

    ``engine_us`` is the artifact's (for the teacher, that of its float32 network, frozen the same
    way), ``sb3_us`` that of SB3's ``predict``. Both through Python, one observation at a time.
    """

    variant: str
    return_mean: float | None
    return_std: float | None
    worst: float | None
    episodes: int
    weights: int
    kept: int
    size_bytes: int
    honest_factor: float
    paper_factor: float | None
    engine_us: float
    sb3_us: float | None

    def as_row(self, variant: str, step: int) -> dict[str, Any]:
        """The same under the names that the rows of every run have, after ``step`` steps."""
        return {
            "variant": variant,
            "checkpoint": "last",
            "step": step,
            "return_mean": self.return_mean,
            "return_std": self.return_std,
            "episodes": self.episodes,
            "weights": self.weights,
            "weights_kept": self.kept,
            "paper_factor": self.paper_factor,
            "size_bytes": self.size_bytes,
            "honest_factor": self.honest_factor,
        }


def show(lines: Sequence[Line], title: str, console: Console) -> None:
    """Print teacher and student."""
    table = _table(title, ("", "return", "worst", "kept", "bytes", "honest", "µs", "µs in SB3"))
    for line in lines:
        table.add_row(
            line.variant,
            "" if line.return_mean is None else f"{line.return_mean:.1f} ± {line.return_std:.1f}",
            "" if line.worst is None else f"{line.worst:.1f}",
            f"{line.kept:,}",
            f"{line.size_bytes:,}",
            f"{line.honest_factor:.1f}x",
            f"{line.engine_us:.2f}",
            "" if line.sb3_us is None else f"{line.sb3_us:.0f}",
        )
    episodes = lines[0].episodes
    table.caption = (
        (
            f"return: mean and deviation of the same {episodes} episodes for both; "
            if episodes
            else ""
        )
        + f"kept: of {lines[0].weights:,} weights; honest: dense float32 bytes by bytes stored, "
        "biases, indices and scales included; µs: one decision of the artifact, in Python"
    )
    console.print(table)


def show_pareto(
    outcomes: Sequence[Outcome], best: Outcome | None, tolerance: float, console: Console
) -> None:
    """Print every attempt of a search, and which is the sparsest within the tolerance."""
    table = _table(
        f"What sparsity costs (tolerance {100 * tolerance:g} %)",
        ("sparsity", "steps", "return", "difference (95 %)", "bytes", "µs", ""),
    )
    for found in sorted(outcomes, key=lambda one: (one.sparsity, one.number)):
        check = found.check
        verdict = "chosen" if found is best else "" if found.within(tolerance) else "lost"
        table.add_row(
            f"{found.sparsity:g}",
            f"{found.course.steps:,}",
            "" if check is None else f"{check.student_mean:.1f}",
            "" if check is None else f"{check.difference:+.1f} ± {check.half_width:.1f}",
            f"{found.size_bytes:,}",
            f"{found.latency_us:.2f}",
            verdict,
        )
    if best is None:
        table.caption = "No attempt stayed within the tolerance; the one that lost least is kept."
    console.print(table)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    table.collapse_padding = True
    table.show_edge = False
    table.caption_justify = "left"
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    return table
