"""Trains with training=sb3 and training=fast over seeds, and collects the returns; resumable.

From the repository's root: ``python experiments/fast_training/run.py [work directory]``. Runs that
have ended are kept, one that was interrupted goes on from its last checkpoint.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "curves.jsonl"
SEEDS = range(5)
HOWS = ("sb3", "fast")
ENVS = {
    "Pendulum-v1": (
        "total_timesteps=10000",
        "sac.learning_starts=500",
        "sac.learning_rate=1e-3",
        "sac.net_arch=[64,64]",
        "eval_freq=1000",
        "checkpoint_freq=5000",
    ),
    "Hopper-v4": ("total_timesteps=100000", "eval_freq=5000", "checkpoint_freq=10000"),
}


def main() -> None:
    """Run what is missing, seed by seed so that pairs are complete early."""
    work = Path(sys.argv[1] if len(sys.argv) > 1 else "outputs/fast_training").absolute()
    for env in ENVS:
        for seed in SEEDS:
            for how in HOWS:
                train(env, seed, how, work / f"{env}_{seed}_{how}")
            collect(work)


def train(env: str, seed: int, how: str, directory: Path) -> None:
    """One run, from where it stands."""
    if (directory / "summary.json").exists():
        return
    command = [sys.executable, "-m", "rlcompress.train", f"hydra.run.dir={directory}"]
    if (directory / ".hydra" / "config.yaml").exists():
        command.append("resume=true")
    else:
        command += [f"env={env}", f"seed={seed}", f"training={how}", "sparsity=0.9"]
        command += ["eval_episodes=5", "final_episodes=5", *ENVS[env]]
    print(" ".join(command), flush=True)
    subprocess.run(command, check=True)


def collect(work: Path) -> None:
    """All evaluations of finished runs in one file: one line per episode."""
    lines = []
    for env in ENVS:
        for seed in SEEDS:
            for how in HOWS:
                directory = work / f"{env}_{seed}_{how}"
                if not (directory / "summary.json").exists():
                    continue
                for line in (directory / "eval.jsonl").read_text().splitlines():
                    row = json.loads(line)
                    kept = {key: row[key] for key in ("step", "variant", "return")}
                    lines.append(json.dumps({"env": env, "seed": seed, "training": how, **kept}))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
