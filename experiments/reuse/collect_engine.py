"""Reads what rlcompress.bench.inference wrote about reuse on recorded play, a line per game.

``python experiments/reuse/collect_engine.py FILE.json...`` writes ``results/engine.jsonl``.
"""

import json
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "engine.jsonl"


def main(names: list[str]) -> None:
    times: dict[tuple[str, float], dict[str, float]] = {}
    for name in names:
        for row in json.loads(Path(name).read_text())["rows"]:
            times.setdefault((row["game"], row["sparsity"]), {})[row["backend"]] = row["p50_us"]
    lines = []
    for (game, sparsity), found in sorted(times.items()):
        without, with_reuse = found["engine"], found["engine_reuse"]
        row = {"game": game, "sparsity": sparsity, "engine_us": without, "reuse_us": with_reuse}
        lines.append(json.dumps(row | {"ratio": round(without / with_reuse, 3)}) + "\n")
    RESULTS.write_text("".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
