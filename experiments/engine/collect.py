"""Gathers the rows that ``run.sh`` measured into one file, and prints the tables of the README.

From the repository's root: ``python experiments/engine/collect.py [directory of run.sh's files]``.
Without a directory the tables are printed from what was gathered before.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "rows.jsonl"
ALLOCATIONS = ("erdos_renyi", "uniform", "global")
KEPT = ("network", "sparsity", "allocation", "weights", "isa", "batch", "backend", "game")
KEPT += ("p50_us", "p99_us", "best_peer", "peers")

Row = dict[str, Any]


def main() -> None:
    """Gather where a directory is given; print."""
    if len(sys.argv) > 1:
        gather(Path(sys.argv[1]))
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    for isa in ("native", "avx2"):
        print(f"\n{isa}\n")
        print("\n".join(table([row for row in rows if row["isa"] == isa and "game" not in row])))
    print("\nreuse\n")
    print("\n".join(games([row for row in rows if "game" in row])))


def gather(directory: Path) -> None:
    """All timed rows of all files; those of ``*_compact.json`` are marked as such."""
    lines = []
    for path in sorted(directory.glob("*.json")):
        content = json.loads(path.read_text())
        machine = {"cpu": content["machine"]["cpu"], "commit": content["machine"]["git"]}
        peers = "compact" if path.stem.endswith("_compact") else "trained"
        for row in content["rows"]:
            if row.get("p50_us") is None:
                continue
            ratios = {key: value for key, value in row.items() if key.startswith("ratio")}
            kept = {key: row[key] for key in KEPT if key in row}
            lines.append(json.dumps({**kept, **ratios, "peers": peers, **machine}))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("".join(f"{line}\n" for line in lines))


def table(rows: Iterable[Row]) -> list[str]:
    """One line per network and sparsity; the columns after the allocations are Erdos-Renyi's."""
    found: dict[tuple[str, float, str], dict[str, Row]] = defaultdict(dict)
    for row in rows:
        if row["backend"] == "engine":
            found[row["network"], row["sparsity"], row["peers"]][row["allocation"]] = row
    lines = []
    for (network, sparsity, peers), by in sorted(found.items()):
        one = by["erdos_renyi"]
        ratios = [shown(by.get(name, {}), "ratio_to_best_peer") for name in ALLOCATIONS]
        columns = ("ratio_to_sb3", "ratio_to_dense_int8", "ratio_to_dense_c", "ratio_to_held_peer")
        cells = [network, f"{sparsity:g}", peers, shown(one, "p50_us"), *ratios]
        cells += [one["best_peer"], *(shown(one, column) for column in columns)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def games(rows: Iterable[Row]) -> list[str]:
    """One line per game: without reuse, with it, and the ratio."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        found[row["game"]][row["backend"]] = row["p50_us"]
    return [
        f"| {game} | {by['engine']:.1f} | {by['engine_reuse']:.1f} | "
        f"{by['engine'] / by['engine_reuse']:.2f} |"
        for game, by in sorted(found.items())
    ]


def shown(row: Row, column: str) -> str:
    """Three digits, nothing where there is no number."""
    value = row.get(column)
    return "" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    main()
