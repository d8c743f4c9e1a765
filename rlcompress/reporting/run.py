"""One finished run as its directory describes it; finds no directories and judges nothing.

``summary.json`` and ``command.txt`` make a ``Run``; curves, configuration, artifact and probe are
read when asked for.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SUMMARY, EVALUATIONS, COMMAND, PROBE = "summary.json", "eval.jsonl", "command.txt", "probe.json"
ARTIFACT, CONFIG = "actor.rlc", ".hydra/config.yaml"


@dataclass(frozen=True)
class Result:
    """One row of a run's table; names as in ``summary.json``."""

    variant: str
    checkpoint: str
    step: int
    return_mean: float
    return_std: float
    episodes: int
    weights: int
    weights_kept: int
    paper_factor: float | None
    size_bytes: int
    honest_factor: float


@dataclass(frozen=True)
class Layer:
    """One layer of a pruned run: ``excluded`` says why it is not counted ("" where it is)."""

    layer: str
    weights: int
    kept: int
    biases: int
    excluded: str

    @property
    def sparsity(self) -> float:
        """Fraction of zeros."""
        return 1.0 - self.kept / self.weights


@dataclass(frozen=True)
class Run:
    """A finished run: where it lies, what was asked for, what came out."""

    path: Path
    name: str
    env: str
    algo: str
    sparsity: float
    quant: str
    seed: int
    total_timesteps: int
    length: int
    results: tuple[Result, ...]
    layers: tuple[Layer, ...]
    parity: Mapping[str, Any] | None
    overrides: Mapping[str, str] = field(default_factory=dict)
    allocation: str = ""

    @property
    def final(self) -> str:
        """The variant that the run ended with: dense, pruned, quantised, ptq or binary."""
        if self.quant == "binary":
            return "binary"
        if self.quant == "true":
            return "quantised"
        return "ptq" if self.quant == "ptq" else "pruned" if self.sparsity > 0 else "dense"

    @property
    def kind(self) -> str:
        """dense, pruned, quantised or binary: what has a colour."""
        return "quantised" if self.final == "ptq" else self.final

    def result(self, variant: str, checkpoint: str = "last") -> Result | None:
        """The row of that name, None where the run has none."""
        found = (r for r in self.results if (r.variant, r.checkpoint) == (variant, checkpoint))
        return next(found, None)

    def has(self, name: str) -> bool:
        """Whether the directory holds a file of that name."""
        return (self.path / name).is_file()

    def evaluations(self) -> list[dict[str, Any]]:
        """All evaluation episodes, in order; an empty list where none were recorded."""
        path = self.path / EVALUATIONS
        if not path.is_file():
            return []
        # As one list: to begin the parser anew for each of a million lines takes most of the time.
        lines = path.read_bytes().splitlines()
        found: list[dict[str, Any]] = json.loads(b"[" + b",".join(lines) + b"]")
        return found

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON object of the directory, {} where there is none that can be read."""
        try:
            found = json.loads((self.path / name).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def text(self, name: str) -> str:
        """A text file of the directory, "" where there is none."""
        try:
            return (self.path / name).read_text(errors="replace")
        except OSError:
            return ""


def parse_overrides(command: str) -> dict[str, str]:
    """The key=value words of a run's first command."""
    lines = command.splitlines()
    try:
        words = shlex.split(lines[0]) if lines else []
    except ValueError:
        words = lines[0].split()
    pairs = (word.split("=", 1) for word in words if "=" in word)
    return {key.lstrip("+~"): value for key, value in pairs}
