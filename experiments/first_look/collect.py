"""Copies what this experiment needs of its run directories into ``results/``; computes nothing."""

import json
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def collect(runs: Path) -> None:
    """Write one file of evaluations per run and one of all runs' final rows and parity."""
    final = []
    for run in sorted(runs.glob("sparsity_*")):
        (RESULTS / f"{run.name}.jsonl").write_text((run / "eval.jsonl").read_text())
        summary = json.loads((run / "summary.json").read_text())
        about = {"sparsity": summary["sparsity"], "seed": summary["seed"]}
        final += [{**about, **row} for row in summary["rows"]]
        final.append({**about, "parity": summary["parity"]})
    text = "".join(json.dumps(row) + "\n" for row in final)
    (RESULTS / "final.jsonl").write_text(text)


if __name__ == "__main__":
    collect(Path(sys.argv[1]))
