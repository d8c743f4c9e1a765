"""Copies what this experiment needs of its run directories into ``results/``; computes nothing."""

import json
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
KEPT = (
    "model",
    "env",
    "sparsity",
    "asked_sparsity",
    "quant",
    "tolerance",
    "seed",
    "compared",
    "paired",
    "likeness",
    "attempts",
    "gradient_steps",
    "observations",
    "parity",
    "timing",
)


def collect(runs: Path) -> None:
    """Write one line per finished run."""
    lines = []
    for path in sorted(runs.glob("*/summary.json")):
        summary = json.loads(path.read_text())
        row = {"run": path.parent.name} | {name: summary[name] for name in KEPT}
        lines.append(json.dumps(row) + "\n")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "final.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    collect(Path(sys.argv[1]))
