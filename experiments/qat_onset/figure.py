"""Draws what ``run.py`` collected and prints the loss at the onset; trains nothing."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot
from numpy.typing import NDArray

HERE = Path(__file__).parent
CONTROL = "none"
ONSET = 2_000
"""Steps that count as the onset."""

Runs = dict[str, dict[int, dict[int, float]]]
"""Setting, seed, step: return."""


def main() -> None:
    """A figure and a table per environment."""
    for path in sorted((HERE / "results").glob("*.jsonl")):
        found: Runs = defaultdict(lambda: defaultdict(dict))
        for line in path.read_text().splitlines():
            row = json.loads(line)
            found[row["setting"]][row["seed"]][row["step"]] = row["return"]
        show(path.stem, found)
        draw(path.stem, found)


def show(env: str, found: Runs) -> None:
    """One line per setting; numbers are means over seeds, the onset with its lowest seed."""
    print(f"{env}: return as a part of what the same seed reached in float32 meanwhile")
    print(f"{'':28}{'first step':>12}{'to 2,000':>12}{'lowest seed':>12}{'from 6,000':>12}")
    for name in found:
        steps, curves = relative(found, name)
        early, late = steps <= ONSET, steps > steps[-1] / 2
        onset = curves[:, early].mean(1)
        values = (curves[:, 0].mean(), onset.mean(), onset.min(), curves[:, late].mean())
        print(f"{name:28}" + "".join(f"{float(value):12.2f}" for value in values))


def draw(env: str, found: Runs) -> None:
    """One panel per setting, a line per seed over those of float32; too few for an interval."""
    columns = 3
    rows = -(-len(found) // columns)
    figure, grid = pyplot.subplots(
        rows, columns, figsize=(10, 2.3 * rows), sharex=True, sharey=True, layout="constrained"
    )
    for axes, name in zip(grid.flat, found, strict=False):
        steps, curves = relative(found, name)
        for curve in relative(found, CONTROL)[1]:
            axes.plot(steps / 1000, curve, color="0.75", linewidth=0.9)
        for curve in curves:
            axes.plot(steps / 1000, curve, color="#c9560b", linewidth=0.9, marker=".", markersize=3)
        axes.axhline(1.0, color="0.6", linewidth=0.8)
        axes.set_title(name, fontsize=9)
    for axes in list(grid.flat)[len(found) :]:
        axes.set_visible(False)
    figure.supxlabel(
        "thousand steps after quantisation-aware training began (grey: float32)", fontsize=9
    )
    figure.supylabel("return / float32 return", fontsize=9)
    figure.savefig(HERE / f"{env}.png", dpi=110)


def relative(found: Runs, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Steps, and for each seed the returns as parts of its float32 mean over all of them."""
    runs = found[name]
    steps = np.array(sorted(next(iter(runs.values()))))
    curves = [
        [run[int(step)] / np.mean(list(found[CONTROL][seed].values())) for step in steps]
        for seed, run in sorted(runs.items())
    ]
    return steps, np.array(curves)


if __name__ == "__main__":
    main()
