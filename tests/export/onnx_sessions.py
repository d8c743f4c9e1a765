"""Runs ONNX models for tests, in whichever runtime is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rlcompress.artifact import AnyArray, CompressedPolicy

Run = Callable[[Any, AnyArray], list[AnyArray]]


def run_onnxruntime(model: Any, observations: AnyArray) -> list[AnyArray]:
    runtime = pytest.importorskip("onnxruntime")
    return session(runtime, model).run(None, {"observation": observations})


def run_openvino(model: Any, observations: AnyArray) -> list[AnyArray]:
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return list(compiled(observations).to_tuple())


def session(runtime: Any, model: Any, optimised_path: str | None = None) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # Exact where the CPU has no int8 dot product.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if optimised_path is not None:
        options.optimized_model_filepath = optimised_path
    return runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def with_values(model: Any, policy: CompressedPolicy) -> dict[int, str]:
    """Make every quantised value of a model an output; returns the names by value."""
    import onnx

    names = {index + 1: op.name for index, op in enumerate(policy.ops) if op.output.kind != "float"}
    for name in names.values():
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    return names


def as_in_policy(tensor: AnyArray, policy: CompressedPolicy, value: int) -> AnyArray:
    """Integers of a graph's tensor in the policy's layout, signed ones around zero."""
    kind = policy.values[value]
    integers = tensor.astype(np.int32) - (128 if kind.kind == "signed" else 0)
    return integers.transpose(0, 2, 3, 1) if integers.ndim == 4 else integers
