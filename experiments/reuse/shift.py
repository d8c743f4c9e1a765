"""Would it pay to look for whole frames that moved, and to move what was computed along with them?

    python experiments/reuse/shift.py --frames 400 --out experiments/reuse/results/shift.json

For every frame of random play the shift by up to three pixels each way that leaves the fewest
pixels changed is taken, for nothing: neither the search nor moving the maps is charged. What then
has to be computed is counted in multiplications of the published network, 20/40 filters. The dense
layer has other weights at every position, so after a shift all of it is computed again.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import torch

from rlcompress.reuse.games import GAMES, Game, View, record
from rlcompress.reuse.geometry import Window, dilate

FILTERS = (20, 40)
REACH = 3


def macs(changed: np.ndarray, actions: int, *, shifted: bool) -> float:
    """Multiplications for a frame of which these pixels changed."""
    first = dilate(Window((3, 3)), torch.from_numpy(changed))
    second = dilate(Window((3, 3)), first)
    dense = second.numel() if shifted else int(second.sum())
    convolutions = (
        int(first.sum()) * 9 * FILTERS[0] + int(second.sum()) * 9 * FILTERS[0] * FILTERS[1]
    )
    return convolutions + dense * FILTERS[1] * actions


def moved(frame: np.ndarray, down: int, right: int) -> tuple[np.ndarray, np.ndarray]:
    """The frame shifted, and which of its pixels came from inside of it."""
    height, width = frame.shape
    out, known = np.zeros_like(frame), np.zeros(frame.shape, bool)
    rows, columns = (
        slice(max(down, 0), height + min(down, 0)),
        slice(max(right, 0), width + min(right, 0)),
    )
    source = frame[max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)]
    out[rows, columns], known[rows, columns] = source, True
    return out, known


def best_shift(before: np.ndarray, after: np.ndarray) -> tuple[tuple[int, int], np.ndarray]:
    """The shift that leaves the fewest pixels to look at, and those."""
    best = (0, 0), before != after
    for down in range(-REACH, REACH + 1):
        for right in range(-REACH, REACH + 1):
            candidate, known = moved(before, down, right)
            changed = (candidate != after) | ~known
            if changed.sum() < best[1].sum():
                best = (down, right), changed
    return best


def measure(game: str, downsample: int, frames: int) -> dict[str, float | str]:
    """Work with and without shifts over one recording."""
    view = View(downsample, True)
    playing = Game(game, view, seed=0)
    actions = playing.actions
    playing.close()
    film = record(game, view, count=frames, seed=1)
    plain = with_shifts = won = 0.0
    for before, after in itertools.pairwise(film):
        changed = before != after
        cost = least = macs(changed, actions, shifted=False)
        if changed.mean() > 0.02:  # a moved border alone is that much
            shift, left = best_shift(before, after)
            if shift != (0, 0):
                least = min(cost, macs(left, actions, shifted=True))
        won += least < cost
        plain += cost
        with_shifts += least
    return {
        "game": game,
        "downsample": downsample,
        "frames_won": won / (frames - 1),
        "work_left": with_shifts / plain,
    }


def main() -> None:
    """Print a row per game and write them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = []
    for downsample in (4, 2):
        for game in GAMES:
            rows.append(measure(game, downsample, options.frames))
            print(
                f"D{downsample} {game:15s} better on {rows[-1]['frames_won']:6.1%} of frames, "
                f"work left {rows[-1]['work_left']:6.1%}",
                flush=True,
            )
    options.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
