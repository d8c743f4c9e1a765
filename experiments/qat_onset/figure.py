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


def main() -> None:
    """One line per setting: returns relative to the same policy going on in float32."""
    found: dict[str, dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for line in (HERE / "results" / "onset.jsonl").read_text().splitlines():
        row = json.loads(line)
        found[row["setting"]][row["seed"]][row["step"]] = row["return"]
    seeds = sorted(found[CONTROL])
    figure, axes = pyplot.subplots(figsize=(8, 4.2), layout="constrained")
    print(f"{'of the float32 return':24}{'first step':>12}{'onset':>12}{'second half':>12}")
    for name, runs in found.items():
        if name == "start":
            continue
        steps = np.array(sorted(runs[seeds[0]]))
        ratios = np.stack([values(runs[s], steps) / reference(found, s, steps) for s in seeds])
        axes.plot(steps, ratios.mean(0), label=name, marker=".")
        late = steps > steps[-1] / 2
        parts = (ratios[:, 0], ratios[:, steps <= ONSET], ratios[:, late])
        print(f"{name:24}" + "".join(f"{float(part.mean()):12.3f}" for part in parts))
    axes.axhline(1.0, color="0.7", linewidth=0.8)
    axes.set(xlabel="steps after QAT began", ylabel="return / return in float32")
    axes.legend(fontsize=8)
    figure.savefig(HERE / "onset.png", dpi=120)


def values(run: dict[int, float], steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns at these steps."""
    return np.array([run[int(step)] for step in steps])


def reference(
    found: dict[str, dict[int, dict[int, float]]], seed: int, steps: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What the same seed's policy reached at these steps without quantisation."""
    return values(found[CONTROL][seed], steps)


if __name__ == "__main__":
    main()
