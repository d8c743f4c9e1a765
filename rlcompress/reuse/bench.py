"""Entry point ``python -m rlcompress.reuse.bench``: the published tables of 24 games, run again.

Cell by cell into a file of JSON lines, which a second run continues. What a cell is lies in
``protocols``, who competes in ``arms``.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlcompress import cli
from rlcompress.bench.inference import lists

COLUMNS = {
    "game": "",
    "eager": "torch",
    "channels_last": "channels last",
    "ours_dense": "ours, dense",
    "original": "original",
    "ours": "ours",
    "eager_gpu": "torch, GPU",
    "original_gpu": "original, GPU",
    "ours_gpu": "ours, GPU",
    "updates": "updates",
    "dense_ratio": "dense / ours",
    "eager_ratio": "torch / ours",
    "over_original": "original / ours",
    "original_ratio": "torch / original",
    "published_ratio": "published",
}
TITLES = {
    "net": "inference on recorded frames (grey)",
    "loop": "inference in the published loop (red)",
    "training": "training in the published loop (red)",
}
MOST_TRAINING = {4: 80, 2: 40}
"""Filters at which the published training tables end, by downsample."""


@dataclass
class Settings:
    """Names as on the command line."""

    protocols: list[str]
    games: list[str]
    downsample: list[int]
    filters: list[int]
    arms: list[str]
    steps: int
    skip: int
    update_every: int
    repetitions: int
    threads: int
    gpu: bool
    seed: int
    results: str
    measure: bool
    counter: str


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at the request; returns the benchmark."""
    from rlcompress.reuse import arms, games, protocols

    known: dict[str, tuple[Sequence[Any], list[Any]]] = {
        "protocols": (settings.protocols, list(protocols.PROTOCOLS)),
        "downsample": (settings.downsample, [4, 2]),
        "arms": (settings.arms, list(arms.FORWARD)),
        "counter": ([settings.counter], ["cpu_us", "wall_us"]),
    }
    for name, (asked, choices) in known.items():
        for one in asked:
            if one not in choices:
                raise ValueError(f"{name} must be of {', '.join(map(str, choices))}, got {one!r}")
    for game in settings.games:
        games.check_game(game)
    _check_numbers(settings)
    if not settings.measure and not Path(settings.results).is_file():
        raise ValueError(f"results holds no cells to print: {settings.results}")
    if settings.measure and Path(settings.results).is_file():
        _check_same(settings)
    return lambda: run(settings)


def _check_numbers(settings: Settings) -> None:
    for name in ("steps", "update_every", "repetitions", "threads"):
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(settings, name)}")
    if settings.skip < 0:
        raise ValueError(f"skip must not be negative, got {settings.skip}")
    if any(count < 1 for count in settings.filters):
        raise ValueError(f"filters must be positive, got {settings.filters}")


def run(settings: Settings) -> None:
    """Measure the cells that are missing, then print all tables that the file has."""
    path = Path(settings.results)
    if settings.measure:
        path.parent.mkdir(parents=True, exist_ok=True)
        measure(settings, path)
    show(settings, path)


def measure(settings: Settings, path: Path) -> None:
    """Append the cells that the file lacks."""
    import torch

    from rlcompress.bench.rows import machine_record
    from rlcompress.reuse.comparison import read_rows
    from rlcompress.reuse.protocols import PROTOCOLS

    torch.set_num_threads(settings.threads)
    arms = list(settings.arms)
    if settings.gpu and torch.cuda.is_available():
        arms += [f"{name}_gpu" for name in ("eager", "original", "ours")]
    cells = wanted(settings)
    done = read_rows(path)
    machine, read = machine_record(), counters(gpu=settings.gpu)
    for number, cell in enumerate(cells, 1):
        key = cell.key()
        if any(is_of(one, key) for one in done):
            continue
        row = {**key, "threads": settings.threads, **PROTOCOLS[cell.protocol](cell, arms, read)}
        row["machine"] = {name: machine[name] for name in ("cpu", "cores", "git")}
        row["torch"] = torch.__version__
        append(path, row)
        print(f"{number}/{len(cells)} {described(row)}", flush=True)


def _check_same(settings: Settings) -> None:
    """Raise ValueError where cells that are asked for were measured in another way."""
    from rlcompress.bench.rows import machine_record
    from rlcompress.reuse.comparison import read_rows

    keys = [cell.key() for cell in wanted(settings)]
    now = {"threads": settings.threads, "cpu": machine_record()["cpu"]}
    for row in read_rows(Path(settings.results)):
        if not any(is_of(row, key) for key in keys):
            continue
        was = {"threads": row["threads"], "cpu": row["machine"]["cpu"]}
        lacking = [name for name in settings.arms if name not in row["arms"]]
        if was != now or lacking:
            raise ValueError(
                f"{settings.results} holds cells of {was['cpu']} with threads={was['threads']} and "
                f"arms {', '.join(row['arms'])}; ask for the same, or for another results="
            )


def is_of(row: dict[str, Any], key: dict[str, Any]) -> bool:
    """Whether a row of the file is the cell of that key."""
    return all(row.get(name) == value for name, value in key.items())


def append(path: Path, row: dict[str, Any]) -> None:
    """Add a line, behind a last one that may have been cut off."""
    cut_off = path.is_file() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("a") as file:
        file.write("\n" * cut_off + json.dumps(row) + "\n")


def wanted(settings: Settings) -> list[Any]:
    """Every cell that was asked for, table by table."""
    from rlcompress.reuse.protocols import Cell

    return [
        Cell(protocol, game, downsample, filters, settings.steps, settings.seed, repetition,
             settings.update_every, settings.skip)
        for repetition in range(settings.repetitions)
        for protocol in settings.protocols
        for downsample in settings.downsample
        for filters in settings.filters
        if protocol != "training" or filters <= MOST_TRAINING[downsample]
        for game in settings.games
    ]  # fmt: skip


def counters(*, gpu: bool) -> Callable[[], dict[str, float]]:
    """Clocks, and energy where this machine lets it be read."""
    from rlcompress.probe.energy import Meters
    from rlcompress.reuse.protocols import clocks

    meters = Meters(gpu=gpu)
    if not meters.counters:
        return clocks

    def read() -> dict[str, float]:
        # Differences are taken by the caller, so a counter that starts over spoils one block.
        found: dict[str, float] = defaultdict(float)
        for counter, value in zip(meters.counters, meters.read(), strict=True):
            found[f"{counter.meter}_uj"] += value
        return clocks() | found

    return read


def described(row: dict[str, Any]) -> str:
    """A finished cell in one line."""
    times = ", ".join(f"{name} {arm['cpu_us']:.0f}" for name, arm in row["arms"].items())
    filters = f"{row['filters']}/{2 * row['filters']}"
    return f"{row['protocol']} D{row['downsample']} {filters} {row['game']}: {times} us a step"


def show(settings: Settings, path: Path) -> None:
    """Print every table, its means, and which games lose."""
    from rlcompress.bench.rows import machine_line, machine_record, table, wide_console
    from rlcompress.probe.energy import why_no_package
    from rlcompress.reuse.comparison import losers, means, ratio_name, read_rows, tables

    console = wide_console()
    rows = read_rows(path)
    for (protocol, downsample, filters), lines in tables(rows, settings.counter):
        chosen = ratio_name(protocol)
        title = f"{TITLES[protocol]}, D{downsample} {filters}/{2 * filters}: us a step, ratios"
        console.print(table(title, [*lines, *means(lines)], COLUMNS))
        losing = losers(lines, chosen)
        console.print(f"{COLUMNS[chosen]} below 1: {', '.join(losing) or 'no game'}\n")
    steps = sorted({row["steps"] for row in rows})
    console.print(f"{len(rows)} cells of {' or '.join(map(str, steps))} steps; {settings.counter}")
    console.print(machine_line(machine_record()), style="dim")
    if why := why_no_package():
        console.print(f"no energy: {why}", style="dim")


def main() -> int:
    """Run the entry point; returns the exit code."""
    sys.argv[1:] = lists(sys.argv[1:], Settings)
    return cli.run(cli.EntryPoint("bench_reuse", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
