"""Carries out an inference benchmark's plan: builds subjects, compares, prints and writes rows."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from rlcompress.artifact import CompressedPolicy
from rlcompress.bench import rows as tables
from rlcompress.bench.networks import make_case, make_policy, sparsity_of
from rlcompress.bench.plan import Plan
from rlcompress.probe.backends import BACKENDS
from rlcompress.probe.compare import Comparison, compare
from rlcompress.probe.measure import Measurement, clock_overhead_ns
from rlcompress.probe.processes import Workers
from rlcompress.probe.registry import Request
from rlcompress.probe.subject import Subject, make_subject

Row = dict[str, Any]

TIMES = {"p50_us": "p50 us", "p99_us": "p99 us"}
PEERS = {
    "ratio_to_best_peer": "best peer / ours",
    "best_peer": "best peer",
    "ratio_to_held_peer": "best held peer / ours",
    "ratio_to_sb3": "SB3 / ours",
}
COLUMNS = {"backend": "backend", "what": "timed", **TIMES, **PEERS}
OURS = {
    "network": "network",
    "sparsity": "sparsity",
    "allocation": "allocation",
    "isa": "isa",
    "batch": "batch",
    **TIMES,
    **PEERS,
    "ratio_to_dense_int8": "our dense int8 / ours",
    "ratio_to_dense_c": "dense C / ours",
}
GAMES = {
    "game": "game",
    "sparsity": "sparsity",
    "isa": "isa",
    "backend": "backend",
    **TIMES,
    "ratio_to_no_reuse": "without reuse / with",
}
BREAK_EVEN = {
    "layer": "layer",
    "isa": "isa",
    "dense_us": "dense us",
    "at_0.9_us": "us at 0.9",
    "break_even_sparsity": "pays from sparsity",
}

RATIOS = {
    "ratio_to_sb3": "sb3_predict",
    "ratio_to_dense_int8": "engine_dense",
    "ratio_to_dense_c": "c_dense_float",
    "ratio_to_no_reuse": "engine",
}
"""How many times longer another backend takes than ours, by the name of the column."""

HELD = ("openvino_float", "openvino_int8", "torch_eager", "torch_script")
"""Peers that have a switch for the instruction sets they use; others take all there are."""


class Run:
    """A benchmark under way: rows and break-even rows so far."""

    def __init__(self, plan: Plan, console: Console | None = None) -> None:
        self.plan = plan
        self.rows: list[Row] = []
        self.break_even: list[Row] = []
        self._console = console or tables.wide_console()

    def everything(self) -> None:
        """Time all cases, print a table for each and summaries at the end, write the rows."""
        with Workers() as workers, tempfile.TemporaryDirectory() as directory:
            for case in self.plan.cases:
                subject = make_case(case, Path(directory), compact=self.plan.compact)
                self._compare(subject, case.labels, workers)
            for path in self.plan.artifacts:
                policy = CompressedPolicy.load(path)
                self._compare(make_subject(policy), _labels(path, policy), workers)
            for game in self.plan.games:
                self._game(game, Path(directory), workers)
        if self.plan.break_even:
            self._find_break_even()
        self._summarise()

    def _compare(self, subject: Subject, labels: Row, workers: Workers) -> None:
        for request in self.plan.requests:
            found = self._rows(subject, labels, self.plan.backends, request, workers)
            timed = [row for row in found if "note" not in row]
            self._console.print(tables.table(_title(labels, request), timed, COLUMNS))
            for row in found:
                if "note" in row:
                    self._console.print(f"  {row['backend']}: {row['note']}", style="dim")

    def _game(self, game: str, directory: Path, workers: Workers) -> None:
        from rlcompress.bench.games import record

        played = record(game, self.plan.game_case.seed)
        subject = make_case(self.plan.game_case, directory, observations=played, compact=True)
        labels = {**self.plan.game_case.labels, "game": game}
        # One game is one stream: a batch would have to be of several.
        for isa in dict.fromkeys(request.isa for request in self.plan.requests):
            self._rows(subject, labels, ("engine", "engine_reuse"), Request(isa=isa), workers)

    def _rows(
        self,
        subject: Subject,
        labels: Row,
        backends: Sequence[str],
        request: Request,
        workers: Workers,
    ) -> list[Row]:
        result = compare(subject, backends, workers=workers, request=request, spec=self.plan.spec)
        labels = {**labels, "isa": request.isa, "batch": request.batch}
        found = comparison_rows(result, labels)
        self.rows += found
        self._write()  # After every case: a long run that is cut short leaves what it has.
        return found

    def _find_break_even(self) -> None:
        from rlcompress.bench.break_even import break_even

        # Unpruned, because removing dead units changes shapes.
        networks = {case.network: replace(case, sparsity=0.0) for case in self.plan.cases}
        policies = [make_policy(case).policy for case in networks.values()]
        policies += [CompressedPolicy.load(path) for path in self.plan.artifacts]
        for isa in dict.fromkeys(request.isa for request in self.plan.requests):
            self.break_even += break_even(policies, self.plan.spec, isa)
        self._write()

    def _summarise(self) -> None:
        timed = [row for row in self.rows if row.get("p50_us") is not None]
        ours = [row for row in timed if row["backend"] == "engine" and "game" not in row]
        for title, rows, columns in (
            ("The engine against the best peer", ours, OURS),
            ("Reuse on recorded play", [row for row in timed if "game" in row], GAMES),
            ("Where skipping zeros begins to pay", self.break_even, BREAK_EVEN),
        ):
            if rows:
                self._console.print(tables.table(title, rows, columns))
        self._console.print(tables.machine_line(tables.machine_record()), style="dim")

    def _write(self) -> None:
        if self.plan.out is not None:
            record = {**tables.machine_record(), "clock_overhead_ns": clock_overhead_ns()}
            tables.write(self.plan.out, [*self.rows, *self.break_even], record)


def comparison_rows(result: Comparison, labels: Mapping[str, Any]) -> list[Row]:
    """One row per backend, the fastest first, then those that were not measured."""
    best = result.best_peer
    rows = []
    for measured in sorted(result.measured.values(), key=lambda one: one.p50_us):
        row: Row = {
            **labels,
            "backend": measured.backend,
            "what": measured.what,
            "p50_us": round(measured.p50_us, 3),
            "p99_us": _rounded(measured.percentile(99)),
            "max_us": round(measured.max_us, 3),
            "samples": measured.latency_us.size,
            "error": measured.error,
            "memory_bytes": measured.memory_bytes,
        }
        if BACKENDS[measured.backend].ours:
            row |= _ratios(measured, best, result)
            if labels.get("isa") == "avx2":
                row |= _held(measured, result)
        rows.append(row)
    for name, refused in result.refused.items():
        rows.append({**labels, "backend": name, "note": f"{refused.state}: {refused.reason}"})
    return rows


def _ratios(measured: Measurement, best: Measurement | None, result: Comparison) -> Row:
    row: Row = {}
    if best is not None:
        row["ratio_to_best_peer"] = round(best.ratio_to(measured), 3)
        row["best_peer"] = best.backend
    for column, name in RATIOS.items():
        other = result.measured.get(name)
        if other is not None and name != measured.backend:
            row[column] = round(other.ratio_to(measured), 3)
    return row


def _held(measured: Measurement, result: Comparison) -> Row:
    """Against the best of those peers that were held to the same instruction set."""
    held = [result.measured[name] for name in HELD if name in result.measured]
    best = min(held, key=lambda one: one.p50_us, default=None)
    return {} if best is None else {"ratio_to_held_peer": round(best.ratio_to(measured), 3)}


def _labels(path: Path, policy: CompressedPolicy) -> Row:
    return {
        "network": path.stem,
        "sparsity": round(sparsity_of(policy), 4),
        "allocation": str(policy.meta.get("allocation", "as trained")),
        "weights": "trained",
    }


def _title(labels: Mapping[str, Any], request: Request) -> str:
    return (
        f"{labels['network']} at sparsity {labels['sparsity']:g} ({labels['allocation']}, "
        f"{labels['weights']} weights), batch {request.batch}, {request.isa} instructions"
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
