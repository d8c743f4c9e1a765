"""Writes a policy as an ONNX model that takes raw observations; runs nothing and needs no torch.

Integer layers become the Q/DQ form that runtimes fuse into int8 kernels. Observation handling
(bytes to real numbers, layout, normalisation) and the action head are part of the model. Ops are
written in ``onnx_ops``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rlcompress.artifact import CompressedPolicy, Observation
from rlcompress.artifact.file import write_bytes
from rlcompress.export.dequantise import dequantised
from rlcompress.export.onnx_edges import write_action, write_observation
from rlcompress.export.onnx_graph import Graph
from rlcompress.export.onnx_ops import Network

if TYPE_CHECKING:
    import onnx

Precision = Literal["int8", "float"]

OPSET = 17
IR_VERSION = 8
INPUT, ACTION, OUTPUTS = "observation", "action", "outputs"


def to_onnx(
    policy: CompressedPolicy,
    *,
    precision: Precision = "int8",
    with_action: bool = True,
    exact_limits: bool = True,
) -> onnx.ModelProto:
    """The policy as a checked ONNX model (opset 17) with a dynamic batch.

    The input ``observation`` is a batch of the environment's own observations, uint8 for images
    and float32 otherwise. The only output is ``action``, a batch of the environment's actions
    (float32, or int64 numbers); or, without ``with_action``, ``outputs``, the network's raw float32
    output (batch, n).

    ``int8`` keeps quantised layers in integers (float layers of the policy stay float). ``float``
    takes the quantisation out: plain float32 layers, no rounding of activations. Without
    ``exact_limits`` signed values of 8 bits may reach -128 where the policy stops at -127, which
    saves runtimes a Clip per value (a few per cent of a residual network's time).

    Where a CPU has no int8 dot product (x86 before VNNI), onnxruntime's default kernels saturate
    intermediate sums of uint8 x int8; there its session option ``session.x64quantprecision`` = 1
    is exact (and twice as slow; elsewhere it is only slow).

    Raises:
        ImportError: where onnx is not installed.
        ValueError: for what ONNX cannot say, naming the op.
    """
    package = _onnx()
    if precision not in ("int8", "float"):
        raise ValueError(f"precision must be 'int8' or 'float', got {precision!r}")
    if precision == "float":
        policy = dequantised(policy)
    graph = Graph()
    graph.unique(INPUT)
    network = Network(policy, graph, exact_limits=exact_limits)
    write_observation(network, policy.observation, INPUT)
    for index in range(len(policy.ops)):
        network.write(index)
    result = network.real(len(policy.ops))
    if with_action:
        result = write_action(graph, policy.action, result)
    name = ACTION if with_action else OUTPUTS
    graph.add("Identity", [result], name)
    described = package.helper.make_graph(
        graph.nodes,
        "policy",
        [_input_info(policy.observation)],
        [_output_info(policy, with_action=with_action)],
        graph.constants,
    )
    model: onnx.ModelProto = package.helper.make_model(
        described,
        opset_imports=[package.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="rlcompress",
    )
    package.checker.check_model(model, full_check=True)
    return model


def save_onnx(
    policy: CompressedPolicy,
    path: str | Path,
    *,
    precision: Precision = "int8",
    with_action: bool = True,
) -> int:
    """Write what ``to_onnx`` gives to ``path``; returns the size in bytes."""
    data = to_onnx(policy, precision=precision, with_action=with_action).SerializeToString()
    write_bytes(Path(path), data)
    return len(data)


def describe(model: onnx.ModelProto) -> str:
    """A model's version, input and output in one line."""
    kinds = _onnx().TensorProto.DataType
    graph = model.graph

    def tensor(info: onnx.ValueInfoProto) -> str:
        kind = info.type.tensor_type
        shape = ", ".join(dim.dim_param or str(dim.dim_value) for dim in kind.shape.dim)
        return f"{info.name} ({shape}) {kinds.Name(kind.elem_type).lower()}"

    version = model.opset_import[0].version
    return f"opset {version}, input {tensor(graph.input[0])}, output {tensor(graph.output[0])}"


def _onnx() -> Any:
    try:
        import onnx
        import onnx.checker
    except ImportError as error:
        raise ImportError(
            "ONNX export needs the onnx package: pip install 'rlcompress[onnx]'"
        ) from error
    return onnx


def _input_info(observation: Observation) -> onnx.ValueInfoProto:
    kinds = _onnx().TensorProto
    return _info(INPUT, kinds.UINT8 if observation.image else kinds.FLOAT, observation.shape)


def _output_info(policy: CompressedPolicy, *, with_action: bool) -> onnx.ValueInfoProto:
    kinds = _onnx().TensorProto
    if not with_action:
        return _info(OUTPUTS, kinds.FLOAT, (policy.values[-1].size,))
    if policy.action.kind == "argmax":
        return _info(ACTION, kinds.INT64, ())
    return _info(ACTION, kinds.FLOAT, policy.action.shape)


def _info(name: str, kind: int, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    described: onnx.ValueInfoProto = _onnx().helper.make_tensor_value_info(
        name, kind, ["batch", *shape]
    )
    return described
