"""What a run of the paper's grid takes beside its steps, on one core; prints and keeps the seconds.

    OMP_NUM_THREADS=1 python experiments/scale/costs.py <folder of a finished run>

An evaluation is 20 episodes of 1000 steps of HalfCheetah-v4 (an untrained policy of the same size
takes as long as a trained one: its episodes never end early). A start is what hydra takes for each
job before the first one runs. A board is the event file of the run given, loaded.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from stable_baselines3 import SAC
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlcompress.artifact.file import write_bytes
from rlcompress.cli import config_dir
from rlcompress.evaluation.rollout import evaluate
from rlcompress.sb3.environments import make_evaluation_env, make_training_env
from rlcompress.training.environment_record import environment_record
from rlcompress.training.settings import Settings

RESULT = Path(__file__).parent / "results" / "costs.json"
ENV, EPISODES, TIMES, JOBS = "HalfCheetah-v4", 20, 3, 20


def seconds(work: Callable[[], object]) -> float:
    """The median of a few times."""
    found = []
    for _ in range(TIMES):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return round(statistics.median(found), 3)


def compose_jobs() -> None:
    """The configurations of a few jobs of the grid."""
    words = ["+experiment=paper_mujoco", f"env={ENV}", "variant=int8", "sparsity=0.9"]
    for seed in range(JOBS):
        compose("train", overrides=[*words, f"seed={seed}"], return_hydra_config=True)


def main() -> None:
    """Measure, print, keep."""
    torch.set_num_threads(1)
    # A run that went on after another's beginning has a file of both.
    found_events = Path(sys.argv[1]).glob("events.out.tfevents.*")
    events = max(found_events, key=lambda path: path.stat().st_size)
    model = SAC("MlpPolicy", make_training_env(ENV, 1, seed=0), seed=0)
    evaluation_env = make_evaluation_env(ENV, seed=0)
    ConfigStore.instance().store(name="train_schema", node=Settings)
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        found = {
            "evaluation": seconds(lambda: evaluate(model, evaluation_env, episodes=EPISODES)),
            "start": round(seconds(compose_jobs) / JOBS, 3),
            "board": seconds(lambda: EventAccumulator(str(events)).Reload()),
        }
    record = environment_record()
    about = {"cpu": record["cpu"], "git": record["git"], "board_bytes": events.stat().st_size}
    print("\n".join(f"{name}: {value} s" for name, value in found.items()))
    RESULT.parent.mkdir(exist_ok=True)
    write_bytes(RESULT, (json.dumps(about | {"seconds": found}, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
