"""Turns measurements into rows of numbers for files and tables; measures nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from rlcompress.probe.backends import BACKENDS
from rlcompress.probe.compare import Comparison
from rlcompress.probe.measure import Measurement

REFERENCE = "engine"
"""The backend that ratios refer to."""

BINS_PER_DECADE = 50
PERCENTILES = {"p90_us": 90.0, "p99_us": 99.0, "p999_us": 99.9}


def rows_of(result: Comparison) -> list[dict[str, Any]]:
    """One JSON-able row per measurement, in the order in which they were asked for."""
    rows = []
    for measured in result.rows:
        reference = result.row(REFERENCE, measured.what)  # type: ignore[arg-type]
        rows.append(
            {**_identity(measured), **_times(measured), **_ratios(measured, reference)}
            | {
                "error": measured.error,
                "memory_before_bytes": measured.memory_before_bytes,
                "memory_after_bytes": _after(measured),
                "energy_uj": None if measured.energy_uj is None else dict(measured.energy_uj),
                "histogram": histogram(measured.latency_us),
            }
        )
    return rows


def refused_of(result: Comparison, batch: int) -> list[dict[str, Any]]:
    """One JSON-able row per backend that was not timed."""
    return [
        {"backend": name, "batch": batch, "state": one.state, "reason": one.reason}
        for name, one in result.refused.items()
    ]


def histogram(latency_us: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Counts in bins of equal width on a logarithmic axis; see docs/probe.md."""
    exponents = np.log10(np.maximum(latency_us.reshape(-1), 1e-3))
    bins = np.floor(exponents * BINS_PER_DECADE).astype(int)
    first = int(bins.min())
    return {"first": first, "counts": np.bincount(bins - first).tolist()}


def _identity(measured: Measurement) -> dict[str, Any]:
    backend = BACKENDS[measured.backend]
    events = backend.device == "cuda" and measured.what == "kernel"
    return {
        "backend": measured.backend,
        "level": measured.what,
        "form": backend.form,
        "ours": backend.ours,
        "device": backend.device,
        "clock": "cuda_events" if events else "wall",
        "batch": measured.batch,
        "threads": measured.threads,
    }


def _times(measured: Measurement) -> dict[str, Any]:
    taken = measured.latency_us
    return {
        "p50_us": _rounded(measured.p50_us),
        **{name: _rounded(measured.percentile(q)) for name, q in PERCENTILES.items()},
        "min_us": _rounded(float(taken.min())),
        "max_us": _rounded(measured.max_us),
        "mean_us": _rounded(float(taken.mean())),
        "samples": int(taken.size),
        "rounds_p50_us": [_rounded(float(value)) for value in measured.rounds_p50_us],
    }


def _ratios(measured: Measurement, reference: Measurement | None) -> dict[str, Any]:
    if reference is None:
        return dict.fromkeys(("ratio", "ratio_rounds", "ratio_low", "ratio_high"))
    ratios = measured.ratios_to(reference)
    low, middle, high = (float(np.percentile(ratios, q)) for q in (25, 50, 75))
    return {
        "ratio": _rounded(middle),
        "ratio_rounds": [_rounded(float(ratio)) for ratio in ratios],
        "ratio_low": _rounded(low),
        "ratio_high": _rounded(high),
    }


def _after(measured: Measurement) -> int | None:
    if measured.memory_before_bytes is None or measured.memory_bytes is None:
        return None
    return measured.memory_before_bytes + measured.memory_bytes


def _rounded(value: float | None) -> float | None:
    """Five significant digits."""
    if value is None or value == 0 or not math.isfinite(value):
        return value
    return round(value, 4 - math.floor(math.log10(abs(value))))
