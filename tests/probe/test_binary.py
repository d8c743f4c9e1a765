"""Networks of single bits: probed where something runs them, refused elsewhere."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np

from rlcompress.artifact import (
    Action,
    BinaryDense,
    CompressedPolicy,
    Encode,
    Observation,
    TensorType,
)
from rlcompress.probe.measure import MeasureSpec
from rlcompress.probe.messages import LoadRequest, Refused
from rlcompress.probe.registry import Request
from rlcompress.probe.sizes import forms
from rlcompress.probe.source import open_source
from rlcompress.probe.subject import Subject
from rlcompress.probe.worker import serve
from rlcompress.runtime.reference import with_golden

SPEC = MeasureSpec(rounds=2, round_s=0.002, warm_up_s=0.002)


def policy() -> CompressedPolicy:
    rng = np.random.default_rng(0)
    edges = np.sort(rng.normal(size=(4, 3)).astype(np.float32), axis=1)
    weight = rng.random((2, 12)) < 0.5
    ops = (
        Encode("encoder", (0,), TensorType((12,), "binary", 1), edges),
        BinaryDense("layer", (1,), TensorType((2,)), weight, np.zeros(2, np.int32)),
    )
    made = CompressedPolicy(ops, Observation((4,)), Action("argmax"))
    return with_golden(made, rng.normal(size=(6, 4)).astype(np.float32))


def answers(subject: Subject, *names: str) -> list[object]:
    messages = [LoadRequest(name, subject, Request(), SPEC) for name in names]
    sink = io.BytesIO()
    serve(io.BytesIO(b"".join(pickle.dumps(message) for message in messages)), sink)
    sink.seek(0)
    return [pickle.load(sink) for _ in names]


def test_what_has_no_float_form_is_left_to_our_own(tmp_path: Path) -> None:
    policy().save(tmp_path / "bits.rlc")
    subject = open_source(tmp_path / "bits.rlc").subject()
    assert subject.binary and subject.floating is subject.policy
    names = ("numpy_float", "onnxruntime_int8", "engine_dense", "torch_eager")
    assert answers(subject, *names) == [
        Refused("absent", "does not run networks of single bits")
    ] * len(names)
    assert {"rlc", "rlc_policy"} <= {row["form"] for row in forms(subject)}
    assert not any(row["form"].startswith("onnx") for row in forms(subject))
