"""Draws the curves that ``run.py`` collected and prints the interval of their difference."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import matplotlib
import numpy as np
from scipy.stats import bootstrap

matplotlib.use("Agg")
from matplotlib import pyplot

HERE = Path(__file__).parent
COLOURS = {"sb3": "tab:grey", "fast": "tab:blue"}


def main() -> None:
    """One panel per environment; one line per finished pair of runs on the terminal."""
    rows = [
        json.loads(line) for line in (HERE / "results" / "curves.jsonl").read_text().splitlines()
    ]
    found: dict[tuple[str, str, int], dict[int, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows:
        found[row["env"], row["training"], row["seed"]][row["step"]].append(row["return"])
    envs = sorted({env for env, _, _ in found})
    figure, panels = pyplot.subplots(1, len(envs), figsize=(5 * len(envs), 3.5), squeeze=False)
    for panel, env in zip(panels[0], envs, strict=True):
        for (name, how, _), curve in sorted(found.items()):
            if name == env:
                steps = sorted(curve)
                panel.plot(steps, [np.mean(curve[s]) for s in steps], color=COLOURS[how], alpha=0.6)
        panel.set(title=env, xlabel="steps", ylabel="return (grey: sb3, blue: fast)")
        print(difference(env, found))
    figure.tight_layout()
    figure.savefig(HERE / "curves.png", dpi=120)


def difference(env: str, found: dict[tuple[str, str, int], dict[int, list[float]]]) -> str:
    """Mean over a run's evaluations, fast minus sb3, over seeds that have both; 95 % bootstrap."""
    means = {
        (how, seed): np.mean([value for values in curve.values() for value in values])
        for (name, how, seed), curve in found.items()
        if name == env
    }
    seeds = sorted(s for how, s in means if how == "fast" and ("sb3", s) in means)
    pairs = np.array([means["fast", s] - means["sb3", s] for s in seeds])
    if len(pairs) < 2:
        return f"{env}: {len(pairs)} pair(s), too few for an interval"
    drawn = bootstrap((pairs,), np.mean, random_state=0, method="percentile")
    low, high = drawn.confidence_interval
    level = np.mean([means["sb3", s] for s in seeds])
    return (
        f"{env}: {len(pairs)} pairs, mean return of sb3 {level:.1f}, "
        f"fast - sb3 {pairs.mean():.1f} (95 % interval {low:.1f} to {high:.1f})"
    )


if __name__ == "__main__":
    main()
