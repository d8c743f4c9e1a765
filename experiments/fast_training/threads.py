"""Whether two cores train more as two runs of one thread or as one run of two threads.

From the repository's root: ``python experiments/fast_training/threads.py``; needs two idle cores.
"""

from __future__ import annotations

import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from rlcompress.bench.training import CASES, Worker, worker_of
from rlcompress.bench.training_worker import Task

RESULTS = Path(__file__).parent / "results" / "threads.json"
STEPS, ROUNDS, WARM_UP = 200, 3, 400


def main() -> None:
    """Measure SAC and DQN, print steps per second of the machine as a whole, keep them."""
    found = {name: measure(env, fast=fast) for name, env, fast in contenders()}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    for name, rows in found.items():
        print(name, rows)


def contenders() -> list[tuple[str, str, bool]]:
    """Name, environment, and whether the update is compiled."""
    cases = {"SAC": CASES["sac"][0], "DQN": CASES["dqn"][0]}
    return [
        (f"{name}, {'fast' if fast else 'sb3'}", env, fast)
        for name, env in cases.items()
        for fast in (False, True)
    ]


def measure(env: str, *, fast: bool) -> dict[str, float]:
    """Steps per second of all runs together, the median of windows that take turns."""
    task = Task(
        env,
        fast=fast,
        matmul="auto",
        compressed=False,
        sparsity=0.9,
        warm_up=WARM_UP,
        seed=0,
        core=0,
    )
    arms = {
        "one run, one thread": [worker_of(task)],
        "two runs, one thread each": [worker_of(replace(task, core=core)) for core in (0, 1)],
        "one run, two threads": [worker_of(replace(task, threads=2))],
    }
    speeds: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(ROUNDS):
        for name, workers in arms.items():
            speeds[name].append(together(workers))
    for workers in arms.values():
        for worker in workers:
            worker.close()
    return {name: round(statistics.median(values), 1) for name, values in speeds.items()}


def together(workers: list[Worker]) -> float:
    """Steps per second of workers that train at the same time."""
    began = time.perf_counter()
    with ThreadPoolExecutor(len(workers)) as pool:
        list(pool.map(lambda worker: worker.seconds(STEPS), workers))
    return len(workers) * STEPS / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
