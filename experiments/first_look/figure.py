"""Draws the curves and prints the table of this experiment from ``results/*.jsonl``."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

HERE = Path(__file__).parent
TOTAL_TIMESTEPS = 150_000
COLOURS = {"0.0": "#4c4c4c", "0.9": "#2b6cb0", "0.98": "#c05621"}


def rows(path: Path) -> list[dict[str, Any]]:
    """All objects of a jsonl file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def curves() -> None:
    """Mean return and its deviation over the episodes of each evaluation, one line per sparsity."""
    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    for sparsity, colour in COLOURS.items():
        returns = defaultdict(list)
        for row in rows(HERE / "results" / f"sparsity_{sparsity}.jsonl"):
            returns[row["step"]].append(row["return"])
        steps = np.array(sorted(returns))
        means = np.array([np.mean(returns[step]) for step in steps])
        deviations = np.array([np.std(returns[step]) for step in steps])
        axes.plot(steps, means, color=colour, label=f"sparsity {sparsity}")
        axes.fill_between(steps, means - deviations, means + deviations, color=colour, alpha=0.12)
    for fraction, label in ((0.2, "pruning begins"), (0.8, "pruning ends"), (1.0, "QAT begins")):
        step = fraction * TOTAL_TIMESTEPS
        axes.axvline(step, color="0.6", linewidth=0.8, linestyle="--")
        axes.text(step, axes.get_ylim()[1], f" {label}", va="top", fontsize=8, color="0.4")
    axes.set(xlabel="environment steps", ylabel="return, 20 episodes")
    axes.set_title("Hopper-v4, SAC, one seed: mean ± deviation over episodes", fontsize=10)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(0.0, 0.92))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / "returns.png", dpi=130)


def table() -> None:
    """The final rows as a markdown table."""
    print("| sparsity | variant | checkpoint | return | weights kept | paper | bytes | honest |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows(HERE / "results" / "final.jsonl"):
        if "variant" not in row:
            continue
        cells = (
            row["sparsity"],
            row["variant"],
            row["checkpoint"],
            f"{row['return_mean']:.0f} ± {row['return_std']:.0f}",
            f"{row['weights_kept']:,}",
            f"{row['paper_factor']:.0f}x",
            f"{row['size_bytes']:,}",
            f"{row['honest_factor']:.1f}x",
        )
        print("| " + " | ".join(str(cell) for cell in cells) + " |")


if __name__ == "__main__":
    curves()
    table()
