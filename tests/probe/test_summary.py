"""From measurements to rows, tables and the figure."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from rlcompress.probe.compare import Comparison
from rlcompress.probe.figure import latency_figure
from rlcompress.probe.measure import Measurement
from rlcompress.probe.messages import Refused
from rlcompress.probe.summary import BINS_PER_DECADE, histogram, refused_of, rows_of
from rlcompress.probe.tables import show


def measured(backend: str, what: str, base_us: float, **fields: Any) -> Measurement:
    # Two rounds, the second on a machine that has become twice as slow.
    times = base_us * np.array([np.linspace(1.0, 1.1, 60), np.linspace(2.0, 2.2, 60)])
    return Measurement(backend, what, 1, 1, times, "some machine", **fields)


def comparison() -> Comparison:
    rows = [
        measured("engine", "policy", 1.0, energy_uj={"package": 3.5}),
        measured("engine", "kernel", 0.5),
        measured("sb3_predict", "policy", 300.0, memory_bytes=5, memory_before_bytes=7),
        measured("onnxruntime_float", "actor", 9.0),
        measured("onnxruntime_int8", "actor", 8.0),
    ]
    refused = {
        "tensorrt": Refused("absent", "no NVIDIA GPU here"),
        "cuda_eager": Refused("absent", "no NVIDIA GPU here"),
        "openvino_int8": Refused("wrong", "actions are off by 0.4 of their range"),
    }
    return Comparison({row.backend: row for row in rows}, refused, rows)


def record() -> dict[str, Any]:
    result = comparison()
    control = {
        "backend": "engine", "rate_hz": 1000.0, "seconds": 1.0, "ticks": 1000, "missed": 3,
        "holds": False, "late_p50_us": 1.0, "late_p99_us": 2.0, "late_max_us": 3.0,
        "done_p50_us": 2.0, "done_p99_us": 3.0, "done_max_us": 1200.0, "done_jitter_us": 0.5,
        "trace": [],
    }  # fmt: skip
    subject = {"name": "Hopper-v4", "sparsity": 0.98, "kept": 1382, "weights": 69120}
    return {
        "subject": subject,
        "machine": {"pinned_to": [1]},
        "settings": {"threads": 1},
        "reference": "engine",
        "rows": rows_of(result),
        "refused": refused_of(result, 1),
        "control": [control],
        "forms": [{"form": "rlc", "title": "artifact", "size_bytes": 4263}],
        "notes": ["no energy figures"],
    }


def test_ratios_are_of_rounds_and_within_a_level() -> None:
    rows = {(row["backend"], row["level"]): row for row in rows_of(comparison())}
    sb3 = rows["sb3_predict", "policy"]
    # The machine grew slower for both: the ratio did not move.
    assert sb3["ratio_rounds"] == pytest.approx([300.0, 300.0])
    assert sb3["ratio"] == sb3["ratio_low"] == sb3["ratio_high"] == pytest.approx(300.0)
    assert rows["engine", "kernel"]["ratio"] == 1.0
    assert rows["onnxruntime_float", "actor"]["ratio"] is None
    assert rows["onnxruntime_float", "actor"]["ratio_rounds"] is None


def test_percentiles_that_cannot_be_estimated_are_null() -> None:
    row = rows_of(comparison())[0]
    assert row["samples"] == 120
    assert row["p90_us"] == pytest.approx(2.16, rel=0.02)
    assert row["p99_us"] is None and row["p999_us"] is None
    assert row["max_us"] == pytest.approx(2.2)
    assert len(row["rounds_p50_us"]) == 2


def test_rows_are_json_with_what_is_known() -> None:
    rows = json.loads(json.dumps(rows_of(comparison())))
    assert rows[0]["energy_uj"] == {"package": 3.5} and rows[1]["energy_uj"] is None
    assert rows[2]["memory_before_bytes"] == 7 and rows[2]["memory_after_bytes"] == 12
    assert rows[0]["memory_after_bytes"] is None
    assert (rows[0]["ours"], rows[2]["ours"]) == (True, False)
    assert rows[2]["form"] == "floating" and rows[0]["form"] == "policy"
    assert {row["clock"] for row in rows} == {"wall"}


def test_histogram_counts_every_call_once() -> None:
    taken = np.array([[1.0, 1.0, 1.04], [10.0, 99.0, 0.12]])
    found = histogram(taken)
    assert sum(found["counts"]) == 6
    assert found["counts"][-found["first"]] == 3  # 1 to 1.047 microseconds
    edges = 10.0 ** ((found["first"] + np.arange(len(found["counts"]) + 1)) / BINS_PER_DECADE)
    assert edges[0] <= 0.12 < edges[1] and edges[-2] <= 99.0 < edges[-1]


def test_tables_say_everything() -> None:
    out = io.StringIO()
    show(record(), Console(file=out, width=160))
    text = out.getvalue()
    for said in (
        "Hopper-v4, sparsity 0.98, 1,382 of 69,120 weights; batch 1, threads 1, core 1",
        "n/e",
        "300x",
        "3.5 package",
        "1 kHz",
        "3 of 1000",
        "4,263",
        "absent: tensorrt, cuda_eager: no NVIDIA GPU here",
        "wrong: openvino_int8: actions are off",
        "note: no energy figures",
    ):
        assert said in text, said


def test_figure_has_a_panel_per_level_and_a_row_per_backend() -> None:
    figure = latency_figure(record())
    labels = [[text.get_text() for text in axes.get_yticklabels()] for axes in figure.axes]
    # The fastest on top, and places are counted from below.
    assert labels == [
        ["sb3_predict", "engine"],
        ["onnxruntime_float", "onnxruntime_int8"],
        ["engine"],
    ]
    assert all(axes.get_xscale() == "log" for axes in figure.axes)
    assert len(latency_figure(record(), levels=("kernel",)).axes) == 1
    image = io.BytesIO()
    figure.savefig(image, format="svg")
    assert b"</svg>" in image.getvalue()


def test_figure_of_nothing() -> None:
    with pytest.raises(ValueError, match="no rows at policy with batch 7"):
        latency_figure(record(), levels=("policy",), batch=7)
