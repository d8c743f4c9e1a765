"""Draws the returns of all searches and prints their table from ``results/*.jsonl``."""

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

HERE = Path(__file__).parent
THRESHOLDS = {
    "CartPole-v1": 475,
    "Acrobot-v1": -100,
    "MountainCar-v0": -110,
    "LunarLander-v3": 200,
}


def rows(name: str) -> list[dict[str, Any]]:
    """All objects of a jsonl file, by seed; none where there is no file."""
    path = HERE / "results" / f"{name}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return sorted((json.loads(line) for line in lines), key=lambda row: row["seed"])


def panel(axes: Any, env_id: str, threshold: float) -> None:
    """MAP's return over generations, a line for each seed."""
    for row in rows(env_id):
        curve = np.array(row["curve"])
        axes.plot(np.arange(1, len(curve) + 1), curve[:, 2], color="#2b6cb0", alpha=0.5, lw=1)
        if row["solved"]:
            axes.plot(len(curve), row["stop"], "o", color="#c05621", ms=4)
    axes.axhline(threshold, color="0.5", lw=0.8, ls="--")
    axes.set_title(env_id, fontsize=10)
    axes.set(xlabel="generation", ylabel="return of MAP")
    axes.spines[["top", "right"]].set_visible(False)


def figure() -> None:
    """One panel for each environment."""
    drawn, grid = plt.subplots(2, 2, figsize=(8.5, 5.6), layout="constrained")
    for axes, (env_id, threshold) in zip(grid.flat, THRESHOLDS.items(), strict=True):
        panel(axes, env_id, threshold)
    drawn.savefig(HERE / "returns.png", dpi=110)


def table() -> None:
    """Means over seeds, as a markdown table."""
    print(
        "| environment | network | bytes | seeds | solved | generations | MAP, 100 episodes | s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for env_id in THRESHOLDS:
        found = rows(env_id)
        if not found:
            continue
        maps = [row["map"][0] for row in found]
        cells = (
            env_id,
            "-".join(map(str, found[0]["widths"])),
            found[0]["bytes"],
            len(found),
            f"{sum(row['solved'] for row in found)} of {len(found)}",
            f"{np.median([row['generations'] for row in found]):g}",
            f"{np.median(maps):.1f} ({min(maps):.1f} to {max(maps):.1f})",
            f"{np.median([row['seconds'] for row in found]):.2f}",
        )
        print("| " + " | ".join(str(cell) for cell in cells) + " |")
    for row in rows("qat"):
        print(
            f"QAT {row['env']} seed {row['seed']}: signs at once {row['signs_at_once']}, last "
            f"{row['last'][0]} ± {row['last'][1]}, best {row['best'][0]} ± {row['best'][1]}, "
            f"{row['float_steps']} + {row['binary_steps']} steps, {row['seconds']} s"
        )


if __name__ == "__main__":
    figure()
    table()
