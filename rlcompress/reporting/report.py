"""Makes a report: reads, computes, draws, writes; each of these is another module's business."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from rlcompress.artifact.file import write_bytes
from rlcompress.evaluation.resampling import Bootstrap
from rlcompress.reporting import (
    figures_allocations,
    figures_policies,
    figures_results,
    figures_runs,
    tables,
)
from rlcompress.reporting.inputs import REPORT_MARK, Inputs
from rlcompress.reporting.page import Content, render
from rlcompress.reporting.render import Picture, save_picture
from rlcompress.reporting.sweep import Sweep


@dataclass(frozen=True)
class Request:
    """Where the report goes and what it says of itself."""

    out: Path
    title: str
    command: str
    files: bool = True
    how: Bootstrap = field(default_factory=Bootstrap)


def make_report(inputs: Inputs, request: Request) -> Path:
    """Write the page, the figures as SVG and PNG, and the numbers as JSON lines."""
    sweep = Sweep(inputs.runs, request.how)
    table = tables.rows(sweep)
    found = pictures(sweep)
    request.out.mkdir(parents=True, exist_ok=True)
    page = render(
        Content(
            request.title,
            sweep,
            table,
            found,
            inputs.skipped,
            request.command,
            _version(),
        )
    )
    if request.files:
        (request.out / "figures").mkdir(exist_ok=True)
        for picture in found:
            save_picture(picture, request.out / "figures")
    _write_lines(request.out / "results.jsonl", tables.run_rows(sweep))
    _write_lines(request.out / "statistics.jsonl", (row.as_json() for row in table))
    target = request.out / REPORT_MARK
    write_bytes(target, page.encode())
    return target


def pictures(sweep: Sweep) -> list[Picture]:
    """The report's figures, in its order; what the runs give no data for is left out."""
    found = [
        figures_results.return_against_sparsity(sweep),
        figures_allocations.return_by_allocation(sweep),
        figures_results.return_against_bytes(sweep),
        figures_results.return_against_latency(sweep),
        figures_runs.learning_curves(sweep),
        figures_results.aggregates(sweep),
        figures_policies.quantisation(sweep),
        figures_policies.probes(sweep),
        figures_runs.layer_sparsities(sweep),
        figures_policies.masks(sweep),
        figures_runs.schedules(sweep),
    ]
    return [picture for picture in found if picture is not None and picture.panels]


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    write_bytes(path, "".join(json.dumps(row) + "\n" for row in rows).encode())


def _version() -> str:
    try:
        return metadata.version("rlcompress")
    except metadata.PackageNotFoundError:
        return "from a checkout"
