"""Backends that run the ONNX export: onnxruntime, OpenVINO, DeepSparse."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rlcompress.artifact import AnyArray
from rlcompress.export.onnx_qdq import Precision
from rlcompress.probe.onnx_form import ACTION, INPUT, onnx_bytes
from rlcompress.probe.registry import Request, Runner, Timed, backend
from rlcompress.probe.subject import Subject

PEERS = "pip install 'rlcompress[peers]'"
# One value rounded the other way moves an action by about a step of 8 bits.
INT8 = 0.03
# Scales of another calibration, and activations that the policy itself keeps in float.
OTHER_INT8 = 0.25


@backend("onnxruntime_float", what="actor", form="floating", tolerance=1e-3, install=PEERS)
def onnxruntime_float(subject: Subject, request: Request) -> Runner:
    """onnxruntime, float32, with inputs and outputs bound ahead."""
    return _onnxruntime(onnx_bytes(subject, "float"), subject, request)


@backend("onnxruntime_int8", what="actor", form="whole", tolerance=INT8, install=PEERS)
def onnxruntime_int8(subject: Subject, request: Request) -> Runner:
    """The exported integers in onnxruntime."""
    return _onnxruntime(onnx_bytes(subject, "int8"), subject, request)


@backend("onnxruntime_static", what="actor", form="floating", tolerance=OTHER_INT8, install=PEERS)
def onnxruntime_static(subject: Subject, request: Request) -> Runner:
    """What onnxruntime makes of its own static quantisation of the float32 model."""
    import onnxruntime.quantization as quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rows = iter(subject.observations)

        def get_next(self) -> dict[str, AnyArray] | None:
            row = next(self._rows, None)
            return None if row is None else {INPUT: row[None]}

    with tempfile.TemporaryDirectory() as directory, _quiet():
        before, after = Path(directory) / "float.onnx", Path(directory) / "int8.onnx"
        before.write_bytes(onnx_bytes(subject, "float"))
        quantization.quantize_static(
            str(before),
            str(after),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
        )
        return _onnxruntime(after.read_bytes(), subject, request)


@backend("openvino_float", what="actor", form="floating", tolerance=1e-3, install=PEERS)
def openvino_float(subject: Subject, request: Request) -> Runner:
    """OpenVINO, float32."""
    return _openvino(onnx_bytes(subject, "float"), subject, request)


@backend("openvino_int8", what="actor", form="whole", tolerance=INT8, install=PEERS)
def openvino_int8(subject: Subject, request: Request) -> Runner:
    """OpenVINO on the exported integers."""
    return _openvino(onnx_bytes(subject, "int8"), subject, request)


@backend(
    "deepsparse_float",
    what="actor",
    form="floating",
    tolerance=1e-3,
    install="pip install deepsparse",
)
def deepsparse_float(subject: Subject, request: Request) -> Runner:
    """DeepSparse, float32, which skips zero weights.

    Version 1.8 computes dense layers with zeros wrongly for single observations on some CPUs.
    """
    return _deepsparse(subject, "float", request)


@backend(
    "deepsparse_int8",
    what="actor",
    form="whole",
    tolerance=INT8,
    install="pip install deepsparse",
)
def deepsparse_int8(subject: Subject, request: Request) -> Runner:
    """DeepSparse on the exported integers."""
    return _deepsparse(subject, "int8", request)


def _onnxruntime(model: bytes, subject: Subject, request: Request) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = request.threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    if not _sums_bytes_exactly():
        options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    action = subject.policy.action
    actions = np.zeros(
        (request.batch, *action.shape), np.int64 if action.kind == "argmax" else np.float32
    )
    held: list[Any] = []

    def prepare(observations: AnyArray) -> Any:
        binding = session.io_binding()
        for bind, name, values in (
            (binding.bind_ortvalue_input, INPUT, observations),
            (binding.bind_ortvalue_output, ACTION, actions),
        ):
            value = onnxruntime.OrtValue.ortvalue_from_numpy(values)
            held.append((values, value))
            bind(name, value)
        return binding

    names, run = [ACTION], session.run
    return Runner(
        session.run_with_iobinding,
        prepare,
        lambda argument, returned: actions.copy(),
        more={"policy": Timed(lambda observations: run(names, {INPUT: observations})[0])},
    )


def _sums_bytes_exactly() -> bool:
    """Whether the CPU is known to have an instruction for dot products of uint8 and int8.

    Without one onnxruntime saturates sums unless told otherwise; with one that would only be slow.
    """
    try:
        return "vnni" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def _openvino(model: bytes, subject: Subject, request: Request) -> Runner:
    import openvino

    core = openvino.Core()
    network = core.read_model(model)
    network.reshape({0: [request.batch, *subject.policy.observation.shape]})
    compiled = core.compile_model(
        network,
        "CPU",
        {
            "INFERENCE_NUM_THREADS": request.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        },
    )
    infer = compiled.create_infer_request()
    bound = infer.get_input_tensor(0).data
    run, copy = infer.infer, np.copyto

    def call(observations: AnyArray) -> None:
        copy(bound, observations)
        run()

    return Runner(call, actions=lambda argument, returned: infer.get_output_tensor(0).data.copy())


def _deepsparse(subject: Subject, precision: Precision, request: Request) -> Runner:
    deepsparse = importlib.import_module("deepsparse")

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "policy.onnx"
        path.write_bytes(onnx_bytes(subject, precision))
        engine = deepsparse.compile_model(
            str(path), batch_size=request.batch, num_cores=request.threads
        )
    return Runner(
        lambda inputs: engine.run(inputs, val_inp=False),
        lambda observations: [observations],
        lambda argument, returned: returned[0],
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep onnxruntime's advice on preprocessing off the screen."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
