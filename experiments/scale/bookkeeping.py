"""How long status and report take over 10 000 run directories, made from one real smoke run.

    python experiments/scale/bookkeeping.py <folder> [<number of runs>]

Each directory has every file that the real run left: the large ones under a second name, the small
ones (``summary.json``, ``command.txt``, ``eval.jsonl``, the overrides) written anew with an
environment, sparsity, seed and return of their own. The returns are made up; only the times mean
something.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

from rlcompress.artifact.file import write_bytes
from rlcompress.sweep_jobs import COMMANDS
from rlcompress.training.environment_record import environment_record

RESULT = Path(__file__).parent / "results" / "bookkeeping.json"

ENVS = ("HalfCheetah-v4", "Hopper-v4", "Walker2d-v4", "Ant-v4", "Humanoid-v4", "Swimmer-v4")
SPARSITIES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
VARIANTS = {"none": False, "int8": True, "weights": True}
FINAL = ("quantised", ".rlc")
EVALUATIONS = 120
"""As many as a run of the published length has; 20 episodes each."""

TIMES = 3


def real_run(place: Path) -> Path:
    """A finished smoke run of Hopper with pruning and quantisation."""
    run = place / "real"
    words = ["env=Hopper-v4", "sparsity=0.9", "quant=true", "budget=smoke", f"hydra.run.dir={run}"]
    if not (run / "summary.json").exists():
        subprocess.run([sys.executable, "-m", "rlcompress.train", *words], check=True)
    return run


def write_run(target: Path, real: Path, env: str, sparsity: float, variant: str, seed: int) -> None:
    """One directory like the real one, with what it was asked for and a return of its own."""
    generator = random.Random(f"{env} {sparsity} {variant} {seed}")
    quant = VARIANTS[variant]
    summary = json.loads((real / "summary.json").read_text())
    for path in real.rglob("*"):
        copy = target / path.relative_to(real)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        elif path.name not in ("summary.json", "command.txt", "eval.jsonl", "overrides.yaml"):
            copy.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, copy)
    value = 3000 * (1 - 0.1 * sparsity) * generator.uniform(0.8, 1.2)
    keep = ["dense"] + ["pruned"] * (sparsity > 0) + list(FINAL) * quant
    rows = [row for row in summary["rows"] if row["variant"] in keep]
    for row in rows:
        row["return_mean"] = value
    about = {"env": env, "sparsity": sparsity, "quant": quant, "seed": seed, "rows": rows}
    (target / "summary.json").write_text(json.dumps({**summary, **about}, indent=2))
    words = [f"variant={variant}", f"sparsity={sparsity}", f"env={env}", f"seed={seed}"]
    (target / "command.txt").write_text(f"python -m rlcompress.train {' '.join(words)}\n")
    (target / ".hydra" / "overrides.yaml").write_text("".join(f"- {word}\n" for word in words))
    step = summary["length"] // EVALUATIONS
    lines = [
        json.dumps(
            {
                "env": env,
                "seed": seed,
                "variant": "dense",
                "step": number * step,
                "return": value * number / EVALUATIONS,
                "length": 1000,
            }
        )
        for number in range(1, EVALUATIONS + 1)
        for _ in range(20)
    ]
    (target / "eval.jsonl").write_text("\n".join(lines) + "\n")


def write_command(sweep: Path, runs: int) -> None:
    """What asked for the runs, and for a few more."""
    seeds = runs // (len(SPARSITIES) * len(VARIANTS) * len(ENVS)) + 1
    axes = {"variant": VARIANTS, "sparsity": SPARSITIES, "env": ENVS}
    words = [f"{axis}={','.join(map(str, values))}" for axis, values in axes.items()]
    (sweep / COMMANDS).mkdir(exist_ok=True)
    subdir = "${env}/${hydra:runtime.choices.variant}/${sparsity}/${seed}"
    text = json.dumps({"words": [*words, f"seed=range({seeds})"], "subdir": subdir})
    (sweep / COMMANDS / "grid.json").write_text(text)


def timed(*words: str) -> tuple[float, float]:
    """Run a command, print what it took and the last line that it printed; both kinds of seconds.

    Those of the processor are without what other work on the machine, or its host, took from it.
    """
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", *words], check=True, capture_output=True, text=True
    )
    seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"{' '.join(words)}: {seconds:.1f} s, {used:.1f} s of them the processor's; "
        f"{done.stdout.splitlines()[-1]}",
        flush=True,
    )
    return seconds, used


def main() -> None:
    """Make the directories that are missing, then time both commands; keep the times."""
    place, number = Path(sys.argv[1]).absolute(), int([*sys.argv, "10000"][2])
    place.mkdir(parents=True, exist_ok=True)
    real = real_run(place)
    grid = itertools.product(range(1000), SPARSITIES, VARIANTS, ENVS)
    for seed, sparsity, variant, env in itertools.islice(grid, number):
        target = place / "sweep" / env / variant / str(sparsity) / str(seed)
        if not target.exists():
            write_run(target, real, env, sparsity, variant, seed)
    write_command(place / "sweep", number)
    files = sum(len(names) for _, _, names in os.walk(place / "sweep"))
    print(f"{number:,} run directories, {files:,} files")
    commands = {
        "sweep": ("rlcompress.sweep", f"status={place / 'sweep'}"),
        "report": ("rlcompress.report", f"runs={place / 'sweep'}", f"out={place / 'report'}"),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(TIMES):
        for name, words in commands.items():
            found[name].append(timed(*words))
    kinds = enumerate(("seconds", "processor_seconds"))
    times = {k: {name: [round(t[i], 1) for t in found[name]] for name in found} for i, k in kinds}
    record = environment_record()
    about = {"runs": number, "files": files, "cpu": record["cpu"], "git": record["git"]}
    RESULT.parent.mkdir(exist_ok=True)
    write_bytes(RESULT, (json.dumps(about | times, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
