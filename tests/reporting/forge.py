"""Writes run directories as training does, with made-up returns: many, quickly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

TOTAL = 10_000
WEIGHTS = 4480
LAYERS = (("latent_pi.0", 256), ("latent_pi.2", 4096), ("mu", 128))
EVALUATIONS = 12


def write_run(
    path: Path,
    *,
    env: str = "Hopper-v4",
    sparsity: float = 0.0,
    quant: str = "false",
    seed: int = 0,
    mean: float = 1000.0,
    deviation: float = 30.0,
    overrides: str = "",
    allocation: str = "erdos_renyi",
    total: int = TOTAL,
) -> Path:
    """A finished run whose final return lies around ``mean``."""
    path.mkdir(parents=True)
    generator = np.random.default_rng([seed, round(1000 * sparsity), len(quant), len(env)])
    final = mean + deviation * float(generator.standard_normal())
    length = total + total // 5
    summary = {
        "env": env,
        "algo": "sac",
        "network": "mlp",
        "sparsity": sparsity,
        "quant": quant,
        "allocation": allocation,
        "criterion": "magnitude",
        "seed": seed,
        "budget": "paper",
        "total_timesteps": total,
        "length": length,
        "rows": _rows(sparsity, quant, final, length),
        "parity": None,
        "layers": _layers(sparsity),
    }
    write_evaluations(path, env=env, sparsity=sparsity, quant=quant, seed=seed, final=final)
    command = f"python -m rlcompress.train env={env} sparsity={sparsity} quant={quant} seed={seed}"
    (path / "command.txt").write_text(f"{command} {overrides}\n")
    (path / "environment.json").write_text(
        json.dumps({"python": "3.11", "packages": {"torch": "2"}})
    )
    (path / ".hydra").mkdir()
    (path / ".hydra" / "config.yaml").write_text(
        "pruning:\n  begin: 0.2\n  end: 0.8\n  power: 3.0\n"
    )
    (path / "summary.json").write_text(json.dumps(summary))
    return path


def write_evaluations(
    path: Path, *, env: str, sparsity: float, quant: str, seed: int, final: float
) -> None:
    generator = np.random.default_rng([seed, round(1000 * sparsity), len(quant)])
    length = TOTAL + TOTAL // 5
    lines = []
    for i in range(1, EVALUATIONS + 1):
        step = i * length // EVALUATIONS
        learnt = final * (1 - np.exp(-4 * step / length))
        for _ in range(3):
            row = {"env": env, "seed": seed, "variant": phase(step, sparsity, quant), "step": step}
            noise = 0.06 * abs(final) * generator.standard_normal()
            lines.append(json.dumps({**row, "return": learnt + noise, "length": 100}))
    (path / "eval.jsonl").write_text("\n".join(lines) + "\n")


def phase(step: int, sparsity: float, quant: str) -> str:
    if quant == "true" and step > TOTAL:
        return "quantised"
    if sparsity == 0 or step <= 0.2 * TOTAL:
        return "dense"
    return "pruning" if step < 0.8 * TOTAL else "pruned"


def _rows(sparsity: float, quant: str, final: float, length: int) -> list[dict[str, Any]]:
    stages = ["dense"] + ["pruned"] * (sparsity > 0) + ["quantised", ".rlc"] * (quant == "true")
    stages += ["ptq", ".rlc"] * (quant == "ptq")
    rows = []
    for stage in stages:
        for checkpoint, better in (("last", 0.0), ("best", 0.02)):
            early = stage == "dense" and sparsity > 0
            small = stage in ("quantised", ".rlc", "ptq")
            kept = WEIGHTS if stage == "dense" else round((1 - sparsity) * WEIGHTS)
            rows.append(
                {
                    "variant": stage,
                    "checkpoint": checkpoint,
                    "step": TOTAL // 5 if early else length,
                    "return_mean": (0.4 if early else 1.0) * final + better * abs(final),
                    "return_std": 5.0,
                    "episodes": 20,
                    "weights": WEIGHTS,
                    "weights_kept": kept,
                    "paper_factor": (4 if small else 1) * WEIGHTS / kept,
                    "size_bytes": 300 + (1 if small else 4) * kept,
                    "honest_factor": 4 * WEIGHTS / (300 + (1 if small else 4) * kept),
                }
            )
    return rows


def _layers(sparsity: float) -> list[dict[str, Any]]:
    if sparsity == 0:
        return []
    shares = np.clip(np.array([0.6, 1.03, 0.4]) * sparsity, 0, 0.999)
    return [
        {"layer": n, "weights": w, "kept": round((1 - s) * w), "biases": 64, "excluded": ""}
        for (n, w), s in zip(LAYERS, shares, strict=True)
    ]


GRID = ((0.0, "false"), (0.0, "true"), (0.5, "false"), (0.5, "true"), (0.98, "true"))
"""Sparsity and quantisation of the conditions of ``write_sweep``."""


def write_sweep(
    directory: Path,
    *,
    envs: dict[str, float] | None = None,
    seeds: int = 5,
    grid: tuple[tuple[float, str], ...] = GRID,
) -> Path:
    """Runs of all conditions: alike up to 0.5, worse by a half at 0.98."""
    number = 0
    for env, mean in (envs or {"Hopper-v4": 1000.0, "Pendulum-v1": -150.0}).items():
        for sparsity, quant in grid:
            for seed in range(seeds):
                lost = 0.5 * abs(mean) if sparsity > 0.9 else 0.0
                write_run(
                    directory / str(number),
                    env=env,
                    sparsity=sparsity,
                    quant=quant,
                    seed=seed,
                    mean=mean - lost,
                    deviation=0.03 * abs(mean),
                )
                number += 1
    return directory
