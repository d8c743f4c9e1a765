"""Decides which modules of a traced network round what, and with which quantiser; changes none."""

from __future__ import annotations

import difflib

from torch import nn

from rlcompress.quantization.graph import ACTIVATION, LINEAR, Node, fused_activation, readers
from rlcompress.quantization.layers import LayerQuantization, OutputQuantization, ResidualAdd
from rlcompress.quantization.quantizer import ActivationQuantizer
from rlcompress.spec import QuantSpec

IMAGE_BITS = 8

Plan = dict[str, LayerQuantization | OutputQuantization]


def plan_quantization(nodes: tuple[Node, ...], spec: QuantSpec, image_scale: float | None) -> Plan:
    """How each module that changes is to compute, by name.

    Args:
        nodes: the traced network.
        spec: what was asked.
        image_scale: real size of one step of pixel values; None for a float observation.

    Raises:
        ValueError: where the network cannot be quantised so.
    """
    _check_skip(nodes, spec)
    if spec.activation_bits is None:
        return {n.name: _layer(n, spec) for n in nodes if isinstance(n.module, LINEAR)}
    _check_used_once(nodes)
    planner = _Planner(nodes, spec, spec.activation_bits)
    if image_scale is not None:
        planner.carries[0] = ActivationQuantizer.fixed(bits=IMAGE_BITS, scale=image_scale)
    for node in nodes:
        planner.visit(node)
    return planner.plan


class _Planner:
    """Walks the network and gives every value a quantiser, or None for float."""

    def __init__(self, nodes: tuple[Node, ...], spec: QuantSpec, bits: int) -> None:
        self.plan: Plan = {}
        self.carries: dict[int, ActivationQuantizer | None] = {0: None}
        self._spec = spec
        self._bits = bits
        self._reading = readers(nodes)
        self._fused: dict[str, Node] = {}
        self._unsigned = {0}
        self._last = nodes[-1].output if nodes else 0
        self._check_end(nodes)

    def visit(self, node: Node) -> None:
        """Plan one node, after those it reads."""
        sources = [self.carries[value] for value in node.inputs]
        if isinstance(node.module, LINEAR):
            self._visit_layer(node, sources[0])
        elif node.name in self._fused:
            self._round(node, signed=not isinstance(node.module, nn.ReLU))
        elif isinstance(node.module, ResidualAdd):
            self._visit_addition(node, sources)
        elif isinstance(node.module, (nn.Tanh, nn.Hardtanh)) and sources[0] is not None:
            self._round(node, signed=True)
        else:
            self._pass_on(node)

    def _visit_layer(self, node: Node, source: ActivationQuantizer | None) -> None:
        activation = fused_activation(node, self._reading)
        if activation is not None:
            self._fused[activation.name] = node
        rounds = activation is None and node.output != self._last
        output = self._new(signed=True) if rounds else None
        self.plan[node.name] = _layer(node, self._spec, source, output)
        self.carries[node.output] = None if output is None else output.quantizer

    def _visit_addition(self, node: Node, sources: list[ActivationQuantizer | None]) -> None:
        if (sources[0] is None) != (sources[1] is None):
            raise ValueError(
                f"{node.name!r} adds a float observation to a quantised value; put a layer "
                "between, or quantise weights only (activation_bits None)"
            )
        if sources[0] is None:
            self._pass_on(node)
        else:
            self._round(node, signed=not self._unsigned.issuperset(node.inputs))

    def _round(self, node: Node, *, signed: bool) -> None:
        output = None if node.output == self._last else self._new(signed=signed)
        self.carries[node.output] = None
        if output is not None:
            self.plan[node.name] = output
            self.carries[node.output] = output.quantizer
        if not signed:
            self._unsigned.add(node.output)

    def _pass_on(self, node: Node) -> None:
        """Pooling, flattening and a ReLU of integers keep the integers and their scale."""
        self.carries[node.output] = self.carries[node.inputs[0]]
        if isinstance(node.module, nn.ReLU) or node.inputs[0] in self._unsigned:
            self._unsigned.add(node.output)

    def _new(self, *, signed: bool) -> OutputQuantization:
        return OutputQuantization(
            ActivationQuantizer(bits=self._bits, signed=signed), observes=True
        )

    def _check_end(self, nodes: tuple[Node, ...]) -> None:
        ends = [n for n in nodes if isinstance(n.module, LINEAR)]
        last = fused_activation(ends[-1], self._reading) or ends[-1] if ends else None
        if last is None or last.output != self._last:
            raise ValueError(
                "the network must end in nn.Linear, or nn.Linear and an activation, to be quantised"
            )


def _layer(
    node: Node,
    spec: QuantSpec,
    source: ActivationQuantizer | None = None,
    output: OutputQuantization | None = None,
) -> LayerQuantization:
    skipped = node.name in spec.skip
    granularity = spec.dense if isinstance(node.module, nn.Linear) else spec.conv
    return LayerQuantization(
        spec=spec,
        weight_bits=None if skipped else spec.weight_bits,
        per_channel=granularity == "per_channel",
        source=None if skipped else source,
        output=output,
    )


def _check_skip(nodes: tuple[Node, ...], spec: QuantSpec) -> None:
    layers = [node.name for node in nodes if isinstance(node.module, LINEAR)]
    for name in spec.skip:
        if name not in layers:
            nearest = difflib.get_close_matches(name, layers, n=3, cutoff=0.0)
            raise ValueError(
                f"skip names no layer of the actor: got {name!r}, nearest are {', '.join(nearest)}"
            )


def _check_used_once(nodes: tuple[Node, ...]) -> None:
    seen: set[str] = set()
    for node in nodes:
        parametrised = isinstance(node.module, (*LINEAR, *ACTIVATION, ResidualAdd))
        if parametrised and node.name in seen:
            raise ValueError(
                f"{node.name!r} is used more than once; give each use a module of its own, "
                "so that each can have its own range"
            )
        seen.add(node.name)
