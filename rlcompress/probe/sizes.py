"""Bytes of every form in which a policy can be stored; times nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from rlcompress.export.c_source import to_c
from rlcompress.probe.onnx_form import onnx_bytes
from rlcompress.probe.subject import Subject
from rlcompress.runtime.image import engine_image


def forms(subject: Subject) -> list[dict[str, Any]]:
    """One row per form that can be made here: ``form``, ``title``, ``size_bytes``."""
    return [
        {"form": form, "title": title, "size_bytes": size} for form, title, size in _forms(subject)
    ]


def _forms(subject: Subject) -> Iterator[tuple[str, str, int]]:
    policy, summary = subject.policy, subject.policy.summary()
    if subject.model_path is not None:
        size = subject.model_path.stat().st_size
        yield "sb3_zip", "SB3 zip, with critics and optimizers", size
    yield "dense_float32", "weights and biases, float32, zeros included", summary["dense_bytes"]
    if not subject.binary:
        with contextlib.suppress(ImportError, ValueError):  # Needs the onnx package.
            yield "onnx_float", "ONNX, float32", len(onnx_bytes(subject, "float"))
            yield "onnx_int8", "ONNX, int8", len(onnx_bytes(subject, "int8"))
    yield "rlc", "artifact on disk, with golden data and metadata", summary["total_bytes"]
    yield "rlc_policy", "artifact, the policy alone", summary["policy_bytes"]
    yield "engine_image", "image that the engine loads", len(engine_image(policy))
    with contextlib.suppress(ValueError):
        source = to_c(policy, "policy")
        yield "c_data", "constants of the C export", sum(source.data_bytes.values())
