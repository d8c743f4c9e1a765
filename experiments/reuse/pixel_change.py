"""Counts how much changes per game over random play: one line of JSON per game.

``python experiments/reuse/pixel_change.py [frames=50000] [seed=0]`` goes on where it stopped.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from rlcompress.reuse.change import ChangeCounter
from rlcompress.reuse.games import GAMES, make_env

RESULTS = Path(__file__).parent / "results" / "pixel_change.jsonl"


def count(name: str, frames: int, seed: int) -> dict[str, float]:
    env = make_env(name)
    rng = np.random.default_rng(seed)
    counter, grey = ChangeCounter(), np.empty((210, 160), np.uint8)
    screen, _ = env.reset(seed=seed)
    ended = False
    while True:
        env.unwrapped.ale.getScreenGrayscale(grey)
        counter.add(screen, grey)
        if counter.pairs == frames:
            env.close()
            return counter.means()
        if ended:
            screen, _ = env.reset()
            ended = False
        else:
            screen, _, over, cut, _ = env.step(int(rng.integers(env.action_space.n)))
            ended = over or cut


def main(frames: int = 50_000, seed: int = 0) -> None:
    lines = RESULTS.read_text().splitlines() if RESULTS.is_file() else []
    done = {(row["game"], row["frames"], row["seed"]) for row in map(json.loads, lines)}
    for name in GAMES:
        if (name, frames, seed) in done:
            continue
        start = time.process_time()
        row = {"game": name, "frames": frames, "seed": seed}
        row |= {key: round(value, 4) for key, value in count(name, frames, seed).items()}
        row["cpu_s"] = round(time.process_time() - start, 1)
        with RESULTS.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(name, row["rgb_elements"], row["rgb_rectangle"], row["grey_tiles_8"], flush=True)


if __name__ == "__main__":
    main(**{key: int(value) for key, value in (word.split("=") for word in sys.argv[1:])})
