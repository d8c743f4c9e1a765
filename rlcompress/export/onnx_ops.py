"""How each op of a policy is written in ONNX, quantised values between Q and DQ nodes.

One function per record type; images are (batch, channels, height, width) inside the graph. Knows
nothing of observations, actions or files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from rlcompress.artifact import (
    Activation,
    Add,
    AnyArray,
    CompressedPolicy,
    Conv,
    Dense,
    Flatten,
    Linear,
    MaxPool,
    Op,
    TensorType,
)
from rlcompress.export.dequantise import real_bias, real_weight, weight_scale
from rlcompress.export.onnx_graph import Graph

AnyOp = TypeVar("AnyOp", bound=Op)
Writer = Callable[["Network", AnyOp, str], str]

# Signed values are bytes around 128: every runtime has int8 kernels for uint8 activations.
_ZERO_POINT = {"unsigned": 0, "signed": 128}
WRITERS: dict[type, Writer[Any]] = {}


def writes(kind: type[AnyOp]) -> Callable[[Writer[AnyOp]], Writer[AnyOp]]:
    """Register the writer of one record type."""

    def register(writer: Writer[AnyOp]) -> Writer[AnyOp]:
        WRITERS[kind] = writer
        return writer

    return register


class Network:
    """The graph of a policy's ops: where each value is, as float and as integers.

    ``integers`` and ``floats`` name the tensors of the values written so far.
    """

    def __init__(self, policy: CompressedPolicy, graph: Graph, *, exact_limits: bool) -> None:
        self.policy = policy
        self.graph = graph
        self.exact_limits = exact_limits
        self.integers: dict[int, str] = {}
        self.floats: dict[int, str] = {}

    def real(self, value: int) -> str:
        """Float tensor of a value, dequantised where it is held as integers."""
        if value not in self.floats:
            name = self.integers[value]
            kind = self.policy.values[value]
            parameters = self._scale_and_zero(kind, name)
            self.floats[value] = self.graph.add(
                "DequantizeLinear", [name, *parameters], f"{name}/real"
            )
        return self.floats[value]

    def write(self, index: int) -> None:
        """Write op ``index``, whose inputs have been written.

        Raises:
            ValueError: for an op that has no writer.
        """
        op = self.policy.ops[index]
        writer = WRITERS.get(type(op))
        if writer is None:
            known = ", ".join(sorted(kind.__name__ for kind in WRITERS))
            raise ValueError(
                f"{op.name}: ONNX export knows no {type(op).__name__}; it knows {known}"
            )
        value = index + 1
        if op.output.kind == "float":
            self.floats[value] = writer(self, op, op.name)
        else:
            real = writer(self, op, f"{op.name}/sum")
            self.integers[value] = self._quantise(real, op)

    def shape(self, value: int) -> tuple[int, ...]:
        """Shape of a value in the policy (not in the graph)."""
        return self.policy.values[value].shape

    def _quantise(self, real: str, op: Op) -> str:
        kind = op.output
        parameters = self._scale_and_zero(kind, op.name)
        if not self._needs_clip(op):
            return self.graph.add("QuantizeLinear", [real, *parameters], op.name)
        # Behind the rounding and not before it, where it would keep runtimes from fusing.
        stored = self.graph.add("QuantizeLinear", [real, *parameters], f"{op.name}/unclipped")
        limits = [
            self.graph.constant(np.uint8(limit + _ZERO_POINT[kind.kind]), f"{op.name}/{end}")
            for limit, end in zip(kind.limits, ("lowest", "highest"), strict=True)
        ]
        return self.graph.add("Clip", [stored, *limits], op.name)

    def _needs_clip(self, op: Op) -> bool:
        """Whether rounding to bytes can give integers outside the value's limits."""
        kind = op.output
        if kind.bits == 8 and (kind.kind == "unsigned" or not self.exact_limits):
            return False
        if isinstance(op, (Flatten, MaxPool)):
            return False
        if isinstance(op, Activation) and op.function == "relu":
            return False
        if isinstance(op, (Linear, Activation)) and op.function in ("tanh", "hard_tanh"):
            bound = op.bound if op.function == "hard_tanh" else 1.0
            return bool(np.rint(np.float32(bound) * kind.inverse_scale) > kind.limits[1])
        return True

    def _scale_and_zero(self, kind: TensorType, name: str) -> list[str]:
        return [
            self.graph.constant(np.float32(kind.scale), f"{name}/scale"),
            self.graph.constant(np.uint8(_ZERO_POINT[kind.kind]), f"{name}/zero"),
        ]


@writes(Dense)
def _dense(network: Network, op: Dense, name: str) -> str:
    columns = _columns(network, op)
    weight = _weight(network, op, lambda dense: dense[:, columns].T, axis=1)
    return _linear(network, op, name, "Gemm", weight)


@writes(Conv)
def _conv(network: Network, op: Conv, name: str) -> str:
    weight = _weight(network, op, lambda conv: conv.transpose(0, 3, 1, 2), axis=0)
    window = _window(op.weight.shape[1:3], op.stride, op.padding)
    return _linear(network, op, name, "Conv", weight, **window)


@writes(MaxPool)
def _max_pool(network: Network, op: MaxPool, name: str) -> str:
    # Every window covers a value of its own, so the padding (-inf here) never shows.
    source = network.real(op.inputs[0])
    return network.graph.add("MaxPool", [source], name, **_window(op.kernel, op.stride, op.padding))


@writes(Add)
def _add(network: Network, op: Add, name: str) -> str:
    return network.graph.add("Add", [network.real(index) for index in op.inputs], name)


@writes(Activation)
def _activation(network: Network, op: Activation, name: str) -> str:
    return _function(network, op, network.real(op.inputs[0]), name)


@writes(Flatten)
def _flatten(network: Network, op: Flatten, name: str) -> str:
    source = network.real(op.inputs[0])
    if len(network.shape(op.inputs[0])) == 3 and not _only_dense_layers_read(network, op):
        source = network.graph.add("Transpose", [source], f"{name}/moved", perm=[0, 2, 3, 1])
    return network.graph.add("Flatten", [source], name, axis=1)


def _linear(
    network: Network, op: Linear, name: str, operator: str, weight: str, **attributes: object
) -> str:
    inputs = [network.real(op.inputs[0]), weight, _bias(network, op)]
    plain = op.function == "none" or (op.function == "relu" and op.output.kind != "float")
    total = network.graph.add(operator, inputs, name if plain else f"{name}/linear", **attributes)
    return _function(network, op, total, name)


def _function(network: Network, op: Linear | Activation, real: str, name: str) -> str:
    if op.function == "tanh":
        return network.graph.add("Tanh", [real], name)
    if op.function == "hard_tanh":
        limits = [
            network.graph.constant(np.float32(limit), f"{name}/{end}")
            for limit, end in ((-op.bound, "lowest"), (op.bound, "highest"))
        ]
        return network.graph.add("Clip", [real, *limits], name)
    # Rounding to an unsigned type saturates at zero, which is the ReLU of a quantised output.
    if op.function == "relu" and op.output.kind == "float":
        return network.graph.add("Relu", [real], name)
    return real


def _window(
    kernel: tuple[int, ...], stride: tuple[int, int], padding: tuple[int, int]
) -> dict[str, list[int]]:
    return {
        "kernel_shape": list(kernel),
        "strides": list(stride),
        "pads": [*padding, *padding],
    }


def _only_dense_layers_read(network: Network, flatten: Flatten) -> bool:
    """Whether every reader of a flattened image can have its columns moved instead."""
    ops = network.policy.ops
    value = ops.index(flatten) + 1
    return value != len(ops) and all(isinstance(op, Dense) for op in ops if value in op.inputs)


def _columns(network: Network, op: Dense) -> AnyArray:
    """Order of a dense layer's columns in the graph, where images are channels first."""
    source = op.inputs[0]
    writer = network.policy.ops[source - 1] if source else None
    order = np.arange(op.weight.shape[1])
    if isinstance(writer, Flatten) and _only_dense_layers_read(network, writer):
        shape = network.shape(writer.inputs[0])
        if len(shape) == 3:
            return np.asarray(order.reshape(shape).transpose(2, 0, 1).reshape(-1))
    return order


def _weight(
    network: Network, op: Linear, move: Callable[[AnyArray], AnyArray], *, axis: int
) -> str:
    """Weights in the graph's layout: int8 with a scale where the layer is integer, else float32."""
    graph, name = network.graph, f"{op.name}/weight"
    source = network.policy.values[op.inputs[0]]
    if not op.integer:
        return graph.constant(move(real_weight(op, source)), name)
    scale = weight_scale(op, source)
    parameters = [
        graph.constant(move(op.weight), f"{name}/integers"),
        graph.constant(scale, f"{name}/scale"),
        graph.constant(np.zeros(scale.shape, np.int8), f"{name}/zero"),
    ]
    return graph.add("DequantizeLinear", parameters, name, **({"axis": axis} if scale.ndim else {}))


def _bias(network: Network, op: Linear) -> str:
    graph, name = network.graph, f"{op.name}/bias"
    if not op.integer:
        return graph.constant(real_bias(op), name)
    source = network.policy.values[op.inputs[0]]
    scale = np.float32(source.scale) * weight_scale(op, source)
    parameters = [
        graph.constant(op.bias, f"{name}/integers"),
        graph.constant(scale, f"{name}/scale"),
        graph.constant(np.zeros(scale.shape, np.int32), f"{name}/zero"),
    ]
    return graph.add("DequantizeLinear", parameters, name, **({"axis": 0} if scale.ndim else {}))
