"""How fast models train: ours against SB3 and SBX, in alternating windows of one run.

Entry point ``python -m rlcompress.bench.training``. Every contender lives in a process of its own,
pinned to one core with one thread; only one computes at a time. A ratio compares windows that lie
seconds apart. Beside the ratio to SB3 stands that to SB3 with our choice of matrix products, so
that nobody takes another BLAS for a faster algorithm.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rlcompress import cli
from rlcompress.bench.training_worker import Task

SB3, OURS, SAME_PATH, SBX = "SB3", "ours", "SB3, our products", "SBX"
COLUMNS = {
    "case": "case",
    "contender": "contender",
    "steps_per_s": "steps/s",
    "steps_quartiles": "quartiles",
    "ratio_to_sb3": "ratio to SB3",
    "ratio_quartiles": "quartiles of it",
    "ratio_to_same_path": "to SB3, our products",
    "ratio_to_sbx": "to SBX",
    "matmul": "products",
    "first_update_s": "first update (s)",
}


@dataclass
class Settings:
    """Names as on the command line; ``sbx`` is a Python that has SBX, null the present one."""

    cases: list[str]
    rounds: int
    steps: int
    warm_up: int
    sparsity: float
    sbx: str | None
    start: bool
    options: list[str]
    core: int
    seed: int
    out: str | None


OPTIONS: dict[str, dict[str, Any]] = {
    "bf16": {"matmul": "bf16"},
    "channels_last": {"channels_last": True},
}
"""What may be asked for beside what is measured by default: the changes of a task."""

CASES = {
    "sac": ("Hopper-v4", False),
    "sac_compressed": ("Hopper-v4", True),
    "dqn": ("PongNoFrameskip-v4", False),
    "dqn_compressed": ("PongNoFrameskip-v4", True),
}


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at the request; returns the benchmark."""
    for name in ("rounds", "steps", "warm_up"):
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(settings, name)}")
    for case in settings.cases:
        if case not in CASES:
            raise ValueError(f"cases must be among {', '.join(CASES)}, got {case!r}")
    for option in settings.options:
        if option not in OPTIONS:
            raise ValueError(f"options must be among {', '.join(OPTIONS)}, got {option!r}")
    return lambda: measure(settings)


def measure(settings: Settings) -> None:
    """Run the benchmark, print its table and write its rows."""
    from rlcompress.bench.rows import report

    rows = [row for case in settings.cases for row in _case(settings, case)]
    if settings.start:
        rows.append(_start(settings))
    title = "Training, steps per second on one core"
    report(title, rows, out=settings.out, columns=COLUMNS)


class Worker:
    """A contender's process."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.about = self._answer().removeprefix("ready").strip()

    def seconds(self, steps: int) -> float:
        """Train a window."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        while line and not (line.startswith("ready") or line[0].isdigit()):
            line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError("a contender of the benchmark died")
        return line


def worker_of(task: Task) -> Worker:
    """Begin a contender."""
    module = "rlcompress.bench.training_worker"
    return Worker([sys.executable, "-m", module, json.dumps(asdict(task))])


def _case(settings: Settings, case: str) -> list[dict[str, Any]]:
    workers = _workers(settings, case)
    speeds: dict[str, list[float]] = {name: [] for name in workers}
    try:
        names = list(workers)
        for number in range(settings.rounds):
            for offset in range(len(names)):
                name = names[(number + offset) % len(names)]
                speeds[name].append(settings.steps / workers[name].seconds(settings.steps))
    finally:
        for worker in workers.values():
            worker.close()
    about = {name: worker.about for name, worker in workers.items()}
    return [_row(settings, case, name, speeds, about[name]) for name in speeds]


def _workers(settings: Settings, case: str) -> dict[str, Worker]:
    env, compressed = CASES[case]
    # SB3 has neither pruning nor quantisation: it trains the dense model in every case.
    plain = Task(
        env,
        fast=False,
        matmul="default",
        compressed=False,
        sparsity=settings.sparsity,
        warm_up=settings.warm_up,
        seed=settings.seed,
        core=settings.core,
    )
    ours = replace(plain, fast=True, matmul="auto", compressed=compressed)
    tasks = {SB3: plain, OURS: ours, SAME_PATH: replace(plain, matmul="auto")}
    for option in settings.options:
        tasks |= {f"{OURS}, {option}": replace(ours, **OPTIONS[option])}
    workers = {name: worker_of(task) for name, task in tasks.items()}
    python = settings.sbx or sys.executable
    if not compressed and case == "sac" and _has_sbx(python):
        task = {
            "env": env,
            "seed": settings.seed,
            "warm_up": settings.warm_up,
            "core": settings.core,
        }
        file = str(Path(__file__).with_name("sbx_worker.py"))
        workers[SBX] = Worker([python, file, json.dumps(task)])
    return workers


def _has_sbx(python: str) -> bool:
    return subprocess.run([python, "-c", "import sbx"], capture_output=True).returncode == 0


def _row(
    settings: Settings, case: str, name: str, speeds: dict[str, list[float]], about: str
) -> dict[str, Any]:
    own = np.array(speeds[name])
    ratios = own / np.array(speeds[SB3])
    row: dict[str, Any] = {
        "case": case,
        "contender": name,
        "steps_per_s": round(float(np.median(own)), 1),
        "steps_quartiles": _quartiles(own),
        "ratio_to_sb3": round(float(np.median(ratios)), 3),
        "ratio_quartiles": _quartiles(ratios),
        "matmul": about or None,
        "windows": [round(float(value), 2) for value in own],
        "steps": settings.steps,
    }
    if name == OURS:
        for key, other in (("ratio_to_same_path", SAME_PATH), ("ratio_to_sbx", SBX)):
            if other in speeds:
                row[key] = round(float(np.median(own / np.array(speeds[other]))), 3)
    return row


def _quartiles(values: Any) -> list[float]:
    return [round(float(value), 3) for value in np.percentile(values, [25, 75])]


def _start(settings: Settings) -> dict[str, Any]:
    """Seconds from the command to the first update, the second time it is run."""
    taken = [_seconds_to_first_update() for _ in range(2)]
    return {"case": "start, SAC Hopper", "contender": OURS, "first_update_s": round(taken[-1], 2)}


def _seconds_to_first_update() -> float:
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-u", "-m", "rlcompress.train", "env=Hopper-v4", "budget=quick"]
        command += ["training=fast", "sac.learning_starts=1", f"hydra.run.dir={place}/run"]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("the update is compiled"):
                    return time.perf_counter() - began
        finally:
            process.kill()
            process.wait()
    raise RuntimeError("the run ended before its first update")


def main() -> int:
    """Run the entry point; returns the exit code."""
    return cli.run(cli.EntryPoint("bench_training", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
