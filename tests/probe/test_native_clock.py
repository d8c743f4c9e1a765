"""The levels that are timed without Python around them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from rlcompress.probe.backends import BACKENDS
from rlcompress.probe.gate import argument_of, batches
from rlcompress.probe.registry import Request
from rlcompress.runtime.engine import Engine, available_isas
from tests.probe.subjects import subject_of


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("kind", ["mlp", "conv"])
@pytest.mark.parametrize("name", ["engine", "engine_reuse", "c_export", "c_dense_float"])
def test_native_clocks_time_every_call(name: str, kind: str, batch: int) -> None:
    if name.startswith("c_") and shutil.which("gcc") is None:
        pytest.skip("no compiler")
    if name.startswith("engine") and not available_isas():
        pytest.skip("no native engine")
    subject = subject_of(kind)
    runner = BACKENDS[name].load(subject, Request(batch=batch))
    kernel = runner.at("kernel", BACKENDS[name].what)
    assert kernel is not None and kernel.timer is not None
    seen = subject.observations
    rows = batches(len(seen), batch)
    arguments = [argument_of(kernel, seen[row], single=runner.single) for row in rows]
    taken = kernel.timer(arguments, 25)
    assert taken.shape == (25,) and taken.dtype == np.int64
    assert 0 < np.median(taken) < 1e9


@pytest.mark.parametrize("rows", [0, 4])
def test_engine_times_whole_batches_only(rows: int) -> None:
    if not available_isas():
        pytest.skip("no native engine")
    subject = subject_of("mlp")
    with pytest.raises(ValueError, match="multiple of rows"):
        Engine(subject.policy).time_runs(np.ascontiguousarray(subject.observations), rows, 3)
