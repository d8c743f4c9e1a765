"""Searches in one environment with several seeds; a line of ``results/<env>.jsonl`` for each seed.

    python experiments/binary/run.py CartPole-v1 0 1 2 3 4 5 6 7 8 9
    python experiments/binary/run.py MountainCar-v0 0 1 2 3 encoder.edges=16

Seeds that are in the file already are left out, so a run that was cut off goes on. With other
settings (key=value) the line goes to ``results/tried.jsonl``, without its curve.
"""

import json
import sys
import time
from collections.abc import Sequence
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
    # Returns scatter by 30 with coarse edges: more of them, and a thousand episodes to believe.
    "MountainCar-v0": {
        "map_episodes": 50,
        "stop_return": -108.0,
        "stop_episodes": 1000,
        "encoder": {"edges": 32},
        "nes": {"population": 256, "gradient": "plain", "learning_rate": 20.0},
    },
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


def settings(env_id: str, seed: int, changes: Sequence[str] = ()) -> Settings:
    """The configuration of a run as the entry point would make it."""
    base = OmegaConf.load(HERE.parents[1] / "conf" / "binary.yaml")
    del base["defaults"], base["hydra"]
    asked = OmegaConf.from_dotlist(list(changes))
    merged = OmegaConf.merge(OmegaConf.structured(Settings), base, CHANGES[env_id], asked)
    found = OmegaConf.to_object(merged)
    assert isinstance(found, Settings)
    found.env, found.seed = env_id, seed
    return found


def one(env_id: str, seed: int, changes: Sequence[str] = ()) -> dict[str, Any]:
    """A search to its end, and what MAP and the best individual do in 100 fresh episodes."""
    asked = settings(env_id, seed, changes)
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
    env_id, words = sys.argv[1], sys.argv[2:]
    changes = [word for word in words if "=" in word]
    path = HERE / "results" / ("tried.jsonl" if changes else f"{env_id}.jsonl")
    path.parent.mkdir(exist_ok=True)
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    done = {(row["env"], row["seed"], *row.get("changes", ())) for row in rows}
    for seed in (int(word) for word in words if word not in changes):
        if (env_id, seed, *changes) in done:
            continue
        found = one(env_id, seed, changes)
        if changes:
            del found["curve"]
            found["changes"] = changes
        with path.open("a") as file:
            file.write(json.dumps(found) + "\n")
        print(env_id, seed, found["generations"], found["stop"], found["map"], found["seconds"])


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
