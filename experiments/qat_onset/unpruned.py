"""What 8 bits cost policies that were not pruned, at the length of the paper's grid.

    python experiments/qat_onset/unpruned.py

Prints a Markdown table from packed runs (``experiments/paper/collect.py``): int8 and float32 are
those of the grid, the other settings go on from the same checkpoint at T. Every number is a part of
what the float32 run of the same seed has at the same steps.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
PACKED = (HERE.parent / "paper" / "results" / "mujoco", HERE / "results" / "unpruned")
CONTROL = "none"
SETTINGS = {
    "int8": "int8",
    "weights": "weights alone",
    "int8_per_channel": "int8, a scale per output",
    "ptq": "int8 after training",
}
FLOAT_UNTIL_THE_END = ("ptq",)

Runs = dict[tuple[str, int], dict[str, list[float]]]
"""Environment and seed, setting: returns of the evaluations after T, then that of the artifact."""


def read() -> Runs:
    """All unpruned runs."""
    found: Runs = defaultdict(dict)
    for file in sorted(path for folder in PACKED for path in folder.glob("*.jsonl")):
        for row in map(json.loads, file.read_text().splitlines()):
            summary = row["summary"]
            if summary["sparsity"] == 0:
                setting = row["run"].split("/")[0]
                found[summary["env"], summary["seed"]][setting] = returns(row)
    return found


def returns(row: dict) -> list[float]:
    """Means of the evaluations after T in order, and of the artifact's final episodes."""
    summary = row["summary"]
    after = [np.mean(v) for _, step, v in row["evaluations"] if step > summary["total_timesteps"]]
    last = [r for r in summary["rows"] if (r["variant"], r["checkpoint"]) == (".rlc", "last")]
    return [*map(float, after), last[0]["return_mean"]]


def main() -> None:
    """A row per environment, seed and setting."""
    print("| environment | seed | setting | first evaluation | all after T | artifact |")
    print("|---|---|---|---|---|---|")
    for (env, seed), runs in sorted(read().items()):
        for setting, name in SETTINGS.items():
            if setting not in runs or CONTROL not in runs:
                continue
            ours, theirs = np.array(runs[setting]), np.array(runs[CONTROL])
            *after, artifact = ours / theirs
            shown = [after[0], np.mean(ours[:-1]) / np.mean(theirs[:-1])]
            cells = ["" if setting in FLOAT_UNTIL_THE_END else f"{part:.2f}" for part in shown]
            print(f"| {env} | {seed} | {name} | {' | '.join(cells)} | {artifact:.2f} |")


if __name__ == "__main__":
    main()
