"""Tables for people of what the probe found; works on the same record as probe.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rlcompress.probe.registry import LEVELS

Record = Mapping[str, Any]
Row = Mapping[str, Any]

NOT_ESTIMABLE = "n/e"
_TIMES = ("p50_us", "p90_us", "p99_us", "p999_us", "max_us")
_HEADINGS = ("p50", "p90", "p99", "p99.9", "max")


def show(record: Record, console: Console) -> None:
    """Print everything of a record that is worth reading."""
    for batch in dict.fromkeys(row["batch"] for row in record["rows"]):
        console.print(latency_table(record, batch))
    if record["control"]:
        console.print(control_table(record))
    if record["forms"]:
        console.print(forms_table(record))
    for line in refusals(record):
        console.print(line, style="dim", highlight=False)
    for note in record["notes"]:
        console.print(f"note: {note}", highlight=False)


def latency_table(record: Record, batch: int) -> Table:
    """Microseconds per call of every backend, by level, the fastest first."""
    rows = [row for row in record["rows"] if row["batch"] == batch]
    energies = any(row["energy_uj"] for row in rows)
    table = _table(_title(record, batch))
    table.add_column("timed")
    table.add_column("backend", no_wrap=True)
    for heading in _HEADINGS:
        table.add_column(f"{heading} us", justify="right", no_wrap=True)
    reference = record["reference"] or "-"
    table.add_column(f"/ {reference}", justify="right", no_wrap=True)
    table.add_column("quartiles", justify="right", no_wrap=True)
    table.add_column("MB before, after", justify="right", no_wrap=True)
    if energies:
        table.add_column("uJ", justify="right", no_wrap=True)
    for level in LEVELS:
        found = sorted((r for r in rows if r["level"] == level), key=lambda r: r["p50_us"])
        for index, row in enumerate(found):
            cells = [
                level if index == 0 else "",
                Text(row["backend"], "bold" if row["ours"] else ""),
            ]
            cells += [shown(row[name]) for name in _TIMES]
            cells += [_ratio(row), _quartiles(row), _memory(row)]
            cells += [_energy(row)] if energies else []
            table.add_row(*cells, end_section=index == len(found) - 1)
    return table


def control_table(record: Record) -> Table:
    """Whether policies hold the rates of control loops."""
    seconds = record["control"][0]["seconds"]
    table = _table(f"Paced loops of {seconds:g} s, observation to action, us after a tick was due")
    for heading in ("rate", "backend"):
        table.add_column(heading, no_wrap=True)
    for heading in ("holds", "missed", "begins p99", "max", "acts p50", "p99", "max", "jitter"):
        table.add_column(heading, justify="right", no_wrap=True)
    rates = dict.fromkeys(row["rate_hz"] for row in record["control"])
    for rate in rates:
        found = [row for row in record["control"] if row["rate_hz"] == rate]
        for index, row in enumerate(found):
            missed = f"{row['missed']} of {row['ticks']}" if row["missed"] else "0"
            times = ("late_p99_us", "late_max_us", "done_p50_us", "done_p99_us", "done_max_us")
            table.add_row(
                _hertz(rate) if index == 0 else "",
                row["backend"],
                "yes" if row["holds"] else Text("no", "bold red"),
                missed,
                *(shown(row[name]) for name in times),
                shown(row["done_jitter_us"]),
                end_section=index == len(found) - 1,
            )
    return table


def forms_table(record: Record) -> Table:
    """Bytes of every form."""
    table = _table("Bytes of each form")
    table.add_column("form")
    table.add_column("bytes", justify="right")
    for row in record["forms"]:
        table.add_row(row["title"], f"{row['size_bytes']:,}")
    return table


def refusals(record: Record) -> Iterator[str]:
    """One line per reason, with the backends that were not timed for it."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in record["refused"]:
        names = reasons.setdefault((row["state"], row["reason"]), [])
        if row["backend"] not in names:
            names.append(row["backend"])
    for (state, reason), names in reasons.items():
        yield f"{state}: {', '.join(names)}: {reason}"


def shown(value: float | None) -> str:
    """Three significant digits; whole numbers above a hundred."""
    if value is None:
        return NOT_ESTIMABLE
    return f"{value:.3g}" if abs(value) < 99.95 else f"{value:,.0f}"


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))


def _title(record: Record, batch: int) -> str:
    subject, settings = record["subject"], record["settings"]
    cores = ", ".join(map(str, record["machine"]["pinned_to"])) or "any"
    return (
        f"{subject['name']}, sparsity {subject['sparsity']:.3g}, {subject['kept']:,} of "
        f"{subject['weights']:,} weights; batch {batch}, threads "
        f"{settings['threads']}, core {cores}"
    )


def _ratio(row: Row) -> str:
    return "" if row["ratio"] is None else f"{shown(row['ratio'])}x"


def _quartiles(row: Row) -> str:
    if row["ratio"] is None or row["ratio_low"] == row["ratio_high"] == 1.0:
        return ""
    return f"{shown(row['ratio_low'])} to {shown(row['ratio_high'])}"


def _memory(row: Row) -> str:
    before, after = row["memory_before_bytes"], row["memory_after_bytes"]
    return "" if before is None or after is None else f"{before / 1e6:.0f}, {after / 1e6:.0f}"


def _energy(row: Row) -> str:
    found: Mapping[str, float] = row["energy_uj"] or {}
    return ", ".join(f"{shown(value)} {meter}" for meter, value in found.items())


def _hertz(rate: float) -> str:
    return f"{rate / 1000:g} kHz" if rate >= 1000 else f"{rate:g} Hz"
