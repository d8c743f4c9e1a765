"""How far 8 bits move the weights of finished runs: one scale per layer against one per output.

    python experiments/qat_onset/rounding.py <folder of a finished run without quantisation> ...

Prints a Markdown table: per layer of the actor, the largest weight by the root mean square of those
that are kept, and the relative error norm(rounded - w) / norm(w) with either kind of scale.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.checkpoint import load

LIMIT = 127


def error(weight: torch.Tensor, largest: torch.Tensor) -> float:
    """What rounding to the steps of ``largest`` / 127 changes, as a part of the weights."""
    scale = (largest / LIMIT).clamp_min(torch.finfo(weight.dtype).tiny)
    rounded = torch.round(weight / scale) * scale
    return float(torch.norm(rounded - weight) / torch.norm(weight))


def main() -> None:
    """A row per run and layer."""
    print("| run | layer | largest by rms | error, a scale per layer | per output |")
    print("|---|---|---|---|---|")
    for run in map(Path, sys.argv[1:]):
        for name, layer in actor_of(load(run / "actor.zip")).layers.items():
            weight = layer.get_parameter("weight").detach()
            kept = weight[weight != 0]
            spread = float(kept.abs().max() / kept.square().mean().sqrt())
            whole = error(weight, weight.abs().max())
            rows = error(weight, weight.abs().amax(dim=1, keepdim=True))
            cells = (run, name, f"{spread:.1f}", f"{100 * whole:.1f} %", f"{100 * rows:.1f} %")
            print(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main()
