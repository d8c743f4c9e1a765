"""Measured cells beside the published ones: ratios per game, their means, which games lose.

Measures and prints nothing.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rlcompress.reuse.arms import DENSE

PUBLISHED = Path(__file__).parent / "published.csv"

Row = dict[str, Any]


def published_ratios(path: Path = PUBLISHED) -> dict[tuple[bool, int, int, str], float]:
    """Published base over reuse on processors: by training or not, downsample, filters and game."""
    found = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            if not row["base_cpu_s"] or not row["reuse_cpu_s"]:
                continue
            kind, downsample = row["experiment"].split("_D")
            key = (kind == "TRAINING", int(downsample), first_filters(row["filters"]), row["game"])
            found[key] = float(row["base_cpu_s"]) / float(row["reuse_cpu_s"])
    return found


def first_filters(text: str) -> int:
    """The first layer's filters of ``40/80``."""
    return int(text.split("/")[0])


def read_rows(path: Path) -> list[Row]:
    """The cells of a file of JSON lines; a last line that was cut off is left out."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # The run was killed while it wrote; the cell is measured again.
    return rows


def compare(row: Row, published: float | None, counter: str = "cpu_us") -> Row:
    """One line of a table: times per step and what they say about each other."""
    times = {name: arm[counter] for name, arm in row["arms"].items() if counter in arm}
    dense = [times[name] for name in DENSE if name in times]
    line: Row = {"game": row["game"], **times}
    ours = times.get("ours")
    if "eager" in times and "original" in times:
        line["original_ratio"] = times["eager"] / times["original"]
    if ours and "eager" in times:
        line["eager_ratio"] = times["eager"] / ours
    if ours and len(dense) > 1:
        line["dense_ratio"] = min(dense) / ours
    if ours and "original" in times:
        line["over_original"] = times["original"] / ours
    if row["protocol"] == "training" and "eager" in row["arms"]:
        line["updates"] = row["arms"]["eager"].get("updates")
    line["published_ratio"] = published
    return line


def ratio_name(protocol: str) -> str:
    """The ratio that counts: on recorded frames against the fastest dense baseline, else torch."""
    return "dense_ratio" if protocol == "net" else "eager_ratio"


def means(lines: Sequence[Row]) -> list[Row]:
    """The lines that end a table: means of times and ratios, geometric means of ratios."""
    columns = [name for name in lines[0] if name not in ("game", "updates")]
    mean: Row = {"game": "mean"}
    geometric: Row = {"game": "geometric mean"}
    for name in columns:
        values = [line[name] for line in lines if line.get(name) is not None]
        if values:
            mean[name] = sum(values) / len(values)
            if name.endswith("ratio") or name == "over_original":
                geometric[name] = geometric_mean(values)
    return [mean, geometric]


def geometric_mean(values: Iterable[float]) -> float:
    """Of positive numbers."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))


def losers(lines: Sequence[Row], ratio: str) -> list[str]:
    """Games that take longer with reuse than without."""
    return [line["game"] for line in lines if (line.get(ratio) or 1.0) < 1.0]


def tables(
    rows: Sequence[Row], counter: str = "cpu_us"
) -> list[tuple[tuple[str, int, int], list[Row]]]:
    """Lines by protocol, downsample and filters; repetitions of a cell are averaged."""
    ratios = published_ratios()
    groups: dict[tuple[str, int, int], dict[str, list[Row]]] = {}
    for row in rows:
        key = (row["protocol"], row["downsample"], row["filters"])
        groups.setdefault(key, {}).setdefault(row["game"], []).append(row)
    found: list[tuple[tuple[str, int, int], list[Row]]] = []
    for key, games in sorted(groups.items()):
        protocol, downsample, filters = key
        lines = []
        for game, repetitions in sorted(games.items()):
            published = ratios.get((protocol == "training", downsample, filters, game))
            lines.append(compare(_averaged(repetitions), published, counter))
        found.append((key, lines))
    return found


def _averaged(rows: Sequence[Row]) -> Row:
    if len(rows) == 1:
        return rows[0]
    arms: dict[str, dict[str, float]] = {}
    for name, first in rows[0]["arms"].items():
        several = [row["arms"][name] for row in rows if name in row["arms"]]
        arms[name] = {
            counter: sum(arm[counter] for arm in several) / len(several)
            for counter in first
            if all(counter in arm for arm in several)
        }
    return {**rows[0], "arms": arms}
