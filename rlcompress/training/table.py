"""The table a run ends with, for people and as JSON; measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from rlcompress.export.freeze_parity import Parity


@dataclass(frozen=True)
class Row:
    """One variant of the policy: what it earns and what it weighs.

    ``paper_factor`` is 4 / (1 - sparsity) for 8-bit weights and 1 / (1 - sparsity) for float32
    (None where no weight is left); ``honest_factor`` divides the bytes of the dense float32 policy
    by ``size_bytes``, the bytes stored without golden observations and metadata.
    """

    variant: str
    checkpoint: str
    step: int
    return_mean: float
    return_std: float
    episodes: int
    weights: int
    weights_kept: int
    paper_factor: float | None
    size_bytes: int
    honest_factor: float


def show(rows: Sequence[Row], title: str, console: Console) -> None:
    """Print the rows."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    table.collapse_padding = True
    table.show_edge = False
    for name in ("variant", ""):
        table.add_column(name, no_wrap=True)
    for name in ("step", "return", "kept", "paper", "bytes", "honest"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.variant,
            row.checkpoint,
            f"{row.step:,}",
            f"{row.return_mean:.1f} ± {row.return_std:.1f}",
            f"{row.weights_kept:,}",
            "" if row.paper_factor is None else f"{row.paper_factor:.1f}x",
            f"{row.size_bytes:,}",
            f"{row.honest_factor:.1f}x",
        )
    table.caption = (
        f"return: mean and deviation of {rows[0].episodes} episodes; kept: of {rows[0].weights:,} "
        "weights; paper: bytes of kept weights alone; honest: dense float32 bytes by bytes stored, "
        "biases, indices and scales included"
    )
    table.caption_justify = "left"
    console.print(table)


def describe_parity(found: Parity) -> str:
    """What the comparison of the last policy's artifact with its torch actor found."""
    if found.discrete_differences is None:
        actions = f"largest difference of an action {found.largest_action_difference:.2g}"
    else:
        actions = f"{found.discrete_differences} actions differ"
    return (
        f"Artifact against torch on {found.observations:,} observations: {found.violations} of "
        f"{found.activations:,} activations differ, {found.ties} more lie on a rounding boundary; "
        f"{actions}. {'Parity holds.' if found.holds else 'PARITY DOES NOT HOLD.'}"
    )
