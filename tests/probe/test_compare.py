"""Worker processes: what they answer, how they fail, and that they take turns."""

from __future__ import annotations

import io
import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rlcompress.probe.compare import Turns, backend_names, compare
from rlcompress.probe.measure import MeasureSpec
from rlcompress.probe.messages import (
    Answer,
    Loaded,
    LoadRequest,
    Message,
    PaceRequest,
    Refused,
    Round,
    TimeRequest,
)
from rlcompress.probe.pace import Paced
from rlcompress.probe.processes import Worker, Workers, own_cores
from rlcompress.probe.registry import Request
from rlcompress.probe.subject import Subject
from rlcompress.probe.worker import serve
from tests.probe.subjects import subject_of

SPEC = MeasureSpec(rounds=3, round_s=0.002, warm_up_s=0.002)


def wrong(subject: Subject) -> Subject:
    """The subject with golden actions that nobody computes."""
    golden = subject.golden("floating")
    low = subject.policy.action.low
    assert low is not None
    shifted = replace(golden, actions=golden.actions + np.float32(0.5))
    return replace(subject, floating=replace(subject.floating, golden=shifted))


def continuous() -> Subject:
    for seed in range(20):
        subject = subject_of("mlp", seed)
        if subject.policy.action.kind == "squash":
            return subject
    raise AssertionError("no seed gives a squashed policy")


def answers(*messages: Message) -> list[Answer]:
    source = io.BytesIO(b"".join(pickle.dumps(message) for message in messages))
    sink = io.BytesIO()
    serve(source, sink)
    sink.seek(0)
    return [pickle.load(sink) for _ in messages]


def test_worker_loads_and_times() -> None:
    load = LoadRequest("numpy_float", subject_of("mlp"), Request(), SPEC)
    loaded, first, second = answers(load, TimeRequest(), TimeRequest())
    assert isinstance(loaded, Loaded) and loaded.error < 1e-3
    assert isinstance(first, Round) and isinstance(second, Round)
    assert first.taken_ns.size == second.taken_ns.size >= 8 and first.taken_ns.min() > 0


def test_worker_times_levels_and_keeps_pace() -> None:
    load = LoadRequest(
        "numpy_float", subject_of("mlp"), Request(), SPEC, ("policy", "actor", "kernel")
    )
    loaded, policy, actor, paced = answers(
        load, TimeRequest("policy"), TimeRequest("actor"), PaceRequest(500.0, 0.02)
    )
    assert isinstance(loaded, Loaded) and loaded.levels == ("policy", "actor")
    assert isinstance(policy, Round) and isinstance(actor, Round)
    assert isinstance(paced, Paced) and paced.ticks == 10


def test_levels_are_compared_at_once() -> None:
    with Workers() as workers:
        turns = Turns(subject_of("mlp"), workers, spec=SPEC, levels=("policy", "actor"))
        result = turns.measure(("engine", "numpy_float"))
        assert turns.pace("engine", 1000.0, 0.01) is not None
        assert turns.pace("sb3_predict", 1000.0, 0.01) is None
    assert [(row.backend, row.what) for row in result.rows] == [
        ("engine", "policy"),
        ("engine", "actor"),
        ("numpy_float", "policy"),
        ("numpy_float", "actor"),
    ]
    slow, fast = result.row("numpy_float", "policy"), result.row("engine", "policy")
    assert slow is not None and fast is not None
    assert slow.ratios_to(fast).shape == (SPEC.rounds,)
    assert result.measured["numpy_float"].what == "actor"
    assert result.row("numpy_float", "kernel") is None


def test_unknown_levels_are_refused() -> None:
    with Workers() as workers, pytest.raises(ValueError, match="level must be one of policy"):
        Turns(subject_of("mlp"), workers, levels=("brain",))  # type: ignore[arg-type]


def test_wrong_results_are_not_timed() -> None:
    refused, loaded = answers(
        LoadRequest("numpy_float", wrong(continuous()), Request(), SPEC),
        LoadRequest("numpy_float", continuous(), Request(), SPEC),
    )
    assert isinstance(refused, Refused) and refused.state == "wrong"
    assert "of their range, allowed is 0.001" in refused.reason
    assert isinstance(loaded, Loaded)


def test_what_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "deepsparse", None)
    first, second, third = answers(
        LoadRequest("onnxruntime_float", subject_of("mlp"), Request(), SPEC),
        LoadRequest("deepsparse_int8", subject_of("mlp"), Request(), SPEC),
        LoadRequest("sb3_predict", subject_of("mlp"), Request(), SPEC),
    )
    assert first == Refused("absent", "not installed (pip install 'rlcompress[peers]')")
    assert second == Refused("absent", "not installed (pip install deepsparse)")
    assert third == Refused("absent", "needs the SB3 zip that the policy came from")


def test_backends_are_compared_in_rounds() -> None:
    subject = subject_of("mlp")
    with Workers() as workers:
        names = ("numpy_float", "c_dense_float", "sb3_predict")
        result = compare(subject, names, workers=workers, spec=SPEC)
        again = compare(subject_of("conv"), names[:1], workers=workers, spec=SPEC)
    assert set(result.measured) | set(result.refused) == set(names)
    measured = result.measured["numpy_float"]
    assert measured.latency_us.shape[0] == SPEC.rounds and measured.machine
    assert result.refused["sb3_predict"].state == "absent"
    assert result.best_peer is measured
    assert set(again.measured) == {"numpy_float"}


def test_our_own_are_no_peers() -> None:
    with Workers() as workers:
        result = compare(subject_of("mlp"), ("c_dense_float",), workers=workers, spec=SPEC)
    assert result.best_peer is None


def test_worker_that_dies_has_failed_and_is_replaced() -> None:
    load = LoadRequest("numpy_float", subject_of("mlp"), Request(), SPEC)
    with Workers() as workers:
        worker = workers.worker("numpy_float", "native", 1)
        worker.kill()
        answer = worker.ask(load)
        assert isinstance(answer, Refused) and answer.state == "failed"
        assert "its process ended with" in answer.reason
        other = workers.worker("numpy_float", "native", 1)
        assert other is not worker and isinstance(other.ask(load), Loaded)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_worker_is_pinned_and_held_to_an_instruction_set() -> None:
    worker = Worker("avx2", 1)
    try:
        answer = worker.ask(LoadRequest("numpy_float", subject_of("mlp"), Request(), SPEC))
        assert isinstance(answer, Loaded)
        assert os.sched_getaffinity(worker.pid) == set(own_cores(1))
        environment = Path(f"/proc/{worker.pid}/environ").read_bytes().split(b"\0")
        assert {b"ONEDNN_MAX_CPU_ISA=AVX2", b"OMP_NUM_THREADS=1"} <= set(environment)
    finally:
        worker.close()
    assert not worker.alive


def test_unknown_backends_are_named() -> None:
    with pytest.raises(ValueError, match="unknown backend 'onnxruntime_int'; did you mean"):
        backend_names(["onnxruntime_int"])
    everything = backend_names()
    assert "engine" in everything and "torch_compile" not in everything
    assert backend_names(["torch_compile"]) == ("torch_compile",)
