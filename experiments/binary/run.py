"""Searches in one environment with several seeds; a line of ``results/<env>.jsonl`` for each seed.

    python experiments/binary/run.py CartPole-v1 0 1 2 3 4 5 6 7 8 9

Seeds that are in the file already are left out, so a run that was cut off goes on.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from rlcompress.binary.assemble import assemble
from rlcompress.binary.settings import Settings

HERE = Path(__file__).parent
CHANGES: dict[str, dict[str, Any]] = {
    "CartPole-v1": {},
    "Acrobot-v1": {"nes": {"population": 128, "gradient": "plain", "learning_rate": 20.0}},
    "MountainCar-v0": {"nes": {"population": 256, "gradient": "plain", "learning_rate": 20.0}},
    "LunarLander-v3": {
        "hidden": [],
        "generations": 60,
        "episodes": 1,
        "map_episodes": 3,
        "encoder": {"edges": 15},
        "nes": {"population": 64, "learning_rate": 2.0},
    },
}
"""What differs from ``conf/binary.yaml``, by environment."""


def settings(env_id: str, seed: int) -> Settings:
    """The configuration of a run as the entry point would make it."""
    base = OmegaConf.load(HERE.parents[1] / "conf" / "binary.yaml")
    del base["defaults"], base["hydra"]
    merged = OmegaConf.merge(OmegaConf.structured(Settings), base, CHANGES[env_id])
    found = OmegaConf.to_object(merged)
    assert isinstance(found, Settings)
    found.env, found.seed = env_id, seed
    return found


def one(env_id: str, seed: int) -> dict[str, Any]:
    """A search to its end, and what MAP and the best individual do in 100 fresh episodes."""
    asked = settings(env_id, seed)
    parts = assemble(asked)
    evolution, start = parts.evolution, time.perf_counter()
    rows, stop = [], None
    while evolution.generation < asked.generations and stop is None:
        generation = evolution.step()
        stop = generation.stop
        rows.append([generation.steps, round(generation.mean_return, 1), generation.map_return])
    seconds = time.perf_counter() - start
    final = evolution.play(evolution.search.mode, 100).returns
    best = evolution.play(evolution.best, 100).returns
    parts.close()
    return {
        "env": env_id,
        "seed": seed,
        "widths": list(evolution.widths),
        "bytes": evolution.map_network.size_bytes["weights"],
        "generations": evolution.generation,
        "solved": stop is not None,
        "stop": stop,
        "seconds": round(seconds, 2),
        "map": [round(float(final.mean()), 1), round(float(final.std()), 1)],
        "best": [round(float(best.mean()), 1), round(float(best.std()), 1)],
        "curve": [[int(s), float(m), round(float(r), 1)] for s, m, r in rows],
    }


def main() -> None:
    env_id, seeds = sys.argv[1], [int(word) for word in sys.argv[2:]]
    path = HERE / "results" / f"{env_id}.jsonl"
    path.parent.mkdir(exist_ok=True)
    lines = path.read_text().splitlines() if path.exists() else []
    done = {json.loads(line)["seed"] for line in lines}
    for seed in seeds:
        if seed in done:
            continue
        found = one(env_id, seed)
        with path.open("a") as file:
            file.write(json.dumps(found) + "\n")
        print(env_id, seed, found["generations"], found["stop"], found["map"], found["seconds"])


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
