"""Turns a traced torch network, float or fake-quantised, into the ops of a compressed policy.

Owns the change of layout as well: torch images are (channels, height, width), a policy's are
(height, width, channels), so that the columns of a dense layer after a flatten change places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from rlcompress.artifact import (
    Activation,
    Add,
    AnyArray,
    Conv,
    Dense,
    Flatten,
    Function,
    Kind,
    MaxPool,
    Op,
    TensorType,
)
from rlcompress.export.freeze_layers import layer_numbers
from rlcompress.quantization.graph import Node, fused_activation, readers
from rlcompress.quantization.layers import LayerQuantization, OutputQuantization, ResidualAdd

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Lowered:
    """An op with the node whose result it writes.

    ``image`` is set where the result is a flattened image: that image's shape in torch.
    """

    op: Op
    node: Node
    image: Shape | None

    def in_layout(self, value: AnyArray) -> AnyArray:
        """A batch of torch's results, in the order in which the op writes them."""
        if self.image is not None:
            value = value.reshape(-1, *self.image)
        if value.ndim == 4:
            value = value.transpose(0, 2, 3, 1)
        return value.reshape(len(value), *self.op.output.shape)


def lower(nodes: tuple[Node, ...], observation: TensorType) -> tuple[Lowered, ...]:
    """The ops that compute what ``nodes`` compute from a value of type ``observation``.

    An activation that is the sole reader of a layer becomes part of the layer's op.

    Raises:
        ValueError: where a layer's numbers cannot be held (not finite, or a bias too large).
    """
    lowering = _Lowering(nodes, observation)
    for node in nodes:
        lowering.visit(node)
    return tuple(lowering.ops)


class _Lowering:
    def __init__(self, nodes: tuple[Node, ...], observation: TensorType) -> None:
        self.ops: list[Lowered] = []
        self._types = [observation]
        self._place = {0: 0}
        # Where a value is a flattened image: that image's shape as torch has it.
        self._flattened: dict[int, Shape] = {}
        self._reading = readers(nodes)
        self._names: set[str] = set()

    def visit(self, node: Node) -> None:
        """Append the op of one node, after those of the nodes it reads."""
        if node.output in self._place:
            return
        for kind, make in _MAKERS.items():
            if isinstance(node.module, kind):
                make(self, node)
                return
        raise AssertionError(f"trace let {type(node.module).__name__} pass")

    def _layer(self, node: Node) -> None:
        activation = fused_activation(node, self._reading)
        last = activation or node
        place = self._place[node.inputs[0]]
        numbers = layer_numbers(node, self._types[place])
        output = _output_type(last)
        fields: dict[str, Any] = {
            "name": self._name(node),
            "inputs": (place,),
            "output": output,
            "weight": self._in_layout(node, numbers.weight),
            "multiplier": numbers.multiplier_for(output, _function(activation)),
            "bias": numbers.bias,
            "function": _function(activation),
            "bound": _bound(activation),
        }
        module = node.module
        if isinstance(module, nn.Conv2d):
            padding = (0, 0) if module.padding == "valid" else module.padding
            self._append(last, Conv(**fields, stride=_pair(module.stride), padding=_pair(padding)))
        else:
            self._append(last, Dense(**fields))

    def _in_layout(self, node: Node, weight: AnyArray) -> AnyArray:
        if weight.ndim == 4:
            return np.ascontiguousarray(weight.transpose(0, 2, 3, 1))
        image = self._flattened.get(node.inputs[0])
        if image is None:
            return weight
        columns = weight.reshape(-1, *image).transpose(0, 2, 3, 1)
        return np.ascontiguousarray(columns.reshape(weight.shape))

    def _activation(self, node: Node) -> None:
        place, source = self._source(node)
        output = _output_type(node)
        if isinstance(node.module, nn.ReLU) and source.kind != "float":
            output = replace(source, kind="unsigned")
        fields = (self._name(node), (place,), output, _function(node), _bound(node))
        self._append(node, Activation(*fields), flattened=node.inputs[0])

    def _pool(self, node: Node) -> None:
        place, source = self._source(node)
        module = node.module
        assert isinstance(module, nn.MaxPool2d)
        kernel, stride = _pair(module.kernel_size), _pair(module.stride)
        output = replace(source, shape=_shape(node))
        op = MaxPool(self._name(node), (place,), output, kernel, stride, _pair(module.padding))
        self._append(node, op)

    def _flatten(self, node: Node) -> None:
        place, source = self._source(node)
        self._flattened[node.output] = (source.shape[2], *source.shape[:2])
        output = replace(source, shape=(source.size,))
        self._append(node, Flatten(self._name(node), (place,), output))

    def _addition(self, node: Node) -> None:
        places = tuple(self._place[value] for value in node.inputs)
        output = _output_type(node)
        multipliers = (1.0, 1.0)
        if output.kind != "float":
            first, second = (float(np.float32(self._types[p].scale / output.scale)) for p in places)
            multipliers = (first, second)
        op = Add(self._name(node), places, output, multipliers)
        self._append(node, op, flattened=node.inputs[0])

    def _source(self, node: Node) -> tuple[int, TensorType]:
        place = self._place[node.inputs[0]]
        return place, self._types[place]

    def _name(self, node: Node) -> str:
        # A float module may be used more than once.
        name, count = node.name, 1
        while name in self._names:
            count += 1
            name = f"{node.name}#{count}"
        self._names.add(name)
        return name

    def _append(self, node: Node, op: Op, *, flattened: int | None = None) -> None:
        """Add ``op``, which computes ``node``; the order of ``flattened``'s elements is kept."""
        if flattened in self._flattened:
            self._flattened[node.output] = self._flattened[flattened]
        self.ops.append(Lowered(op, node, self._flattened.get(node.output)))
        self._types.append(op.output)
        self._place[node.output] = len(self.ops)


_MAKERS: dict[type[nn.Module], Callable[[_Lowering, Node], None]] = {
    nn.Linear: _Lowering._layer,
    nn.Conv2d: _Lowering._layer,
    nn.ReLU: _Lowering._activation,
    nn.Tanh: _Lowering._activation,
    nn.Hardtanh: _Lowering._activation,
    nn.MaxPool2d: _Lowering._pool,
    nn.Flatten: _Lowering._flatten,
    ResidualAdd: _Lowering._addition,
}


def _output_type(node: Node) -> TensorType:
    """Type of what a module returns; that of a float network where nothing rounds it."""
    how = getattr(node.module, "quantization", None)
    output = how.output if isinstance(how, LayerQuantization) else how
    if not isinstance(output, OutputQuantization):
        return TensorType(_shape(node))
    quantizer = output.quantizer
    kind: Kind = "signed" if quantizer.signed else "unsigned"
    return TensorType(_shape(node), kind, quantizer.bits, quantizer.grid.scale)


def _shape(node: Node) -> Shape:
    if len(node.shape) == 3:
        return (node.shape[1], node.shape[2], node.shape[0])
    return (int(np.prod(node.shape)),)


def _function(node: Node | None) -> Function:
    if node is None:
        return "none"
    if isinstance(node.module, nn.ReLU):
        return "relu"
    return "tanh" if isinstance(node.module, nn.Tanh) else "hard_tanh"


def _bound(node: Node | None) -> float:
    hard = node is not None and isinstance(node.module, nn.Hardtanh)
    return float(node.module.max_val) if hard else 1.0  # type: ignore[union-attr, arg-type]


def _pair(value: Any) -> tuple[int, int]:
    """Two numbers where torch takes one for both."""
    vertical, horizontal = (value, value) if isinstance(value, int) else value
    return int(vertical), int(horizontal)
