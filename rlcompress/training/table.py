"""The table a run ends with, for people and as JSON; measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One variant of the policy: what it earns and what it weighs.

    ``paper_factor`` is 4 / (1 - sparsity) for 8-bit weights and 1 / (1 - sparsity) for float32;
    ``honest_factor`` divides the bytes of the dense float32 policy by the bytes stored.
    """

    variant: str
    checkpoint: str
    step: int
    return_mean: float
    return_std: float
    episodes: int
    weights: int
    weights_kept: int
    paper_factor: float
    size_bytes: int
    honest_factor: float

    def as_json(self) -> dict[str, Any]:
        """The row under the names of ``summary.json``."""
        return asdict(self)


def show(rows: Sequence[Row], title: str, console: Console) -> None:
    """Print the rows."""
    table = Table(title=title, title_justify="left")
    table.add_column("variant")
    table.add_column("checkpoint")
    for name in ("step", "return", "weights kept", "paper's factor", "bytes", "honest factor"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.variant,
            row.checkpoint,
            f"{row.step:,}",
            f"{row.return_mean:.1f} ± {row.return_std:.1f}",
            f"{row.weights_kept:,} of {row.weights:,}",
            f"{row.paper_factor:.1f}x",
            f"{row.size_bytes:,}",
            f"{row.honest_factor:.1f}x",
        )
    console.print(table)
