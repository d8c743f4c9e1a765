"""Builds valid policies op by op for tests; chooses weights and scales, not architectures.

Scales are chosen so that activations use most of their range and some of them saturate.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from rlcompress.artifact.policy import CompressedPolicy
from rlcompress.artifact.records import (
    Action,
    Activation,
    Add,
    AnyArray,
    Conv,
    Dense,
    Flatten,
    Function,
    Kind,
    MaxPool,
    Observation,
    Op,
    TensorType,
)

Arithmetic = Literal["integer", "weight_only", "float", "mixed"]


def as_float32(value: float) -> float:
    """The float32 nearest to ``value``, as a Python float."""
    return float(np.float32(value))


def scale_for(top: float, kind: Kind, bits: int) -> float:
    """Scale with which the largest integer stands for ``top``."""
    return as_float32(top / TensorType((1,), kind, bits).limits[1])


class Builder:
    """Appends valid ops one by one; ``value`` indices are what the methods take and return.

    ``bits`` are those of weights and activations. In ``mixed`` arithmetic every layer draws its own
    (integer, weight-only or float) and some values between layers stay float.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        observation: Observation,
        *,
        arithmetic: Arithmetic = "integer",
        sparsity: float | None = None,
        bits: tuple[int, int] = (8, 8),
    ) -> None:
        self.rng = rng
        self.observation = observation
        self.arithmetic = arithmetic
        self.sparsity = sparsity
        self.bits = bits
        self.ops: list[Op] = []

    @property
    def last(self) -> int:
        """Index of the newest value."""
        return len(self.ops)

    def type_of(self, value: int) -> TensorType:
        """Type of a value."""
        return self.ops[value - 1].output if value else self.observation.value

    def dense(self, outputs: int, function: Function = "relu", *, final: bool = False) -> int:
        """A dense layer on the last value."""
        source = self.type_of(self.last)
        fields = self._linear((outputs, source.size), (outputs,), function, final=final)
        self.ops.append(Dense(**fields))
        return self.last

    def conv(
        self,
        channels: int,
        kernel: tuple[int, int],
        function: Function = "relu",
        *,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int] = (0, 0),
    ) -> int:
        """A convolution on the last value."""
        height, width, depth = self.type_of(self.last).shape
        shape = (
            (height + 2 * padding[0] - kernel[0]) // stride[0] + 1,
            (width + 2 * padding[1] - kernel[1]) // stride[1] + 1,
            channels,
        )
        fields = self._linear((channels, *kernel, depth), shape, function)
        self.ops.append(Conv(**fields, stride=stride, padding=padding))
        return self.last

    def pool(
        self, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
    ) -> int:
        """A max pool on the last value."""
        source = self.type_of(self.last)
        height, width = (
            (source.shape[axis] + 2 * padding[axis] - kernel[axis]) // stride[axis] + 1
            for axis in (0, 1)
        )
        output = TensorType(
            (height, width, source.shape[2]), source.kind, source.bits, source.scale
        )
        op = MaxPool(self._name("pool"), (self.last,), output, kernel, stride, padding)
        self.ops.append(op)
        return self.last

    def add(self, first: int, second: int) -> int:
        """The sum of two values of one shape, both quantised or both float."""
        a, b = self.type_of(first), self.type_of(second)
        multipliers = (1.0, 1.0)
        output = TensorType(a.shape)
        if a.kind != "float":
            bits = self.bits[1]
            reach = self.rng.uniform(0.6, 1.1) * (a.limits[1] * a.scale + b.limits[1] * b.scale)
            output = TensorType(a.shape, "signed", bits, scale_for(reach, "signed", bits))
            multipliers = (as_float32(a.scale / output.scale), as_float32(b.scale / output.scale))
        self.ops.append(Add(self._name("add"), (first, second), output, multipliers))
        return self.last

    def activation(self, function: Function, bound: float = 1.0) -> int:
        """An activation on the last value."""
        source = self.type_of(self.last)
        output = source
        if source.kind != "float":
            bits = source.bits if function == "relu" else self.bits[1]
            scale = source.scale if function == "relu" else scale_for(bound, "signed", bits)
            kind: Kind = "unsigned" if function == "relu" else "signed"
            output = TensorType(source.shape, kind, bits, scale)
        op = Activation(self._name(function), (self.last,), output, function, bound)
        self.ops.append(op)
        return self.last

    def flatten(self) -> int:
        """One axis out of three."""
        source = self.type_of(self.last)
        output = TensorType((source.size,), source.kind, source.bits, source.scale)
        self.ops.append(Flatten(self._name("flatten"), (self.last,), output))
        return self.last

    def policy(self, action: Action, **fields: Any) -> CompressedPolicy:
        """What was built, with ``action``."""
        return CompressedPolicy(tuple(self.ops), self.observation, action, **fields)

    def _name(self, stem: str) -> str:
        return f"{stem}.{len(self.ops)}"

    def _linear(
        self,
        weight_shape: tuple[int, ...],
        shape: tuple[int, ...],
        function: Function,
        *,
        final: bool = False,
    ) -> dict[str, Any]:
        rng, source = self.rng, self.type_of(self.last)
        integer_weights, quantised = self._arithmetic(final)
        density, weight = self._weights(weight_shape, integer_weights)
        columns = weight.size // weight.shape[0]
        limit = 2 ** (self.bits[0] - 1) - 1 if integer_weights else 1
        reach = 1.0 if source.kind == "float" else source.limits[1] * source.scale
        # The pre-activation's standard deviation comes out near one.
        gain = 1.5 / (limit * reach * math.sqrt(columns * density + 1))
        per_channel = weight.shape[0] if rng.random() < 0.5 else 1
        weight_scale: AnyArray = gain * rng.uniform(0.7, 1.4, per_channel)
        if not integer_weights:
            weight = (weight * np.float32(gain)).astype(np.float32)
            weight_scale = np.ones(1)
        bound = 1.0 if function != "hard_tanh" else round(rng.uniform(0.5, 1.5), 2)
        output = TensorType(shape)
        if quantised:
            kind: Kind = "unsigned" if function == "relu" else "signed"
            top = bound if function in ("tanh", "hard_tanh") else rng.uniform(1.5, 3.0)
            output = TensorType(shape, kind, self.bits[1], scale_for(top, kind, self.bits[1]))
        step = np.asarray(weight_scale * source.scale)
        bias: AnyArray = np.asarray(rng.normal(0, 0.5, weight.shape[0]), np.float32)
        multiplier = step.astype(np.float32)
        # Where activations are not quantised, int8 weights on integers may be summed in float.
        integer = integer_weights and source.kind != "float"
        if integer and (quantised or self.arithmetic == "integer" or rng.random() < 0.5):
            bias = np.rint(bias / step).clip(-(2**30), 2**30).astype(np.int32)
            if quantised and function in ("none", "relu"):
                multiplier = (step / output.scale).astype(np.float32)
        return {
            "name": self._name("layer"),
            "inputs": (self.last,),
            "output": output,
            "weight": weight,
            "multiplier": multiplier,
            "bias": bias,
            "function": function,
            "bound": bound,
        }

    def _arithmetic(self, final: bool) -> tuple[bool, bool]:
        """Whether this layer has int8 weights, and whether its output is quantised."""
        integer_weights = self.arithmetic != "float"
        quantised = self.arithmetic == "integer"
        if self.arithmetic == "mixed":
            integer_weights, quantised = (
                bool(self.rng.random() < 0.7),
                bool(self.rng.random() < 0.5),
            )
        return integer_weights, quantised and not final

    def _weights(self, shape: tuple[int, ...], integer: bool) -> tuple[float, AnyArray]:
        """Density and weights (float ones of order one) with, now and then, an empty row."""
        rng = self.rng
        choices = (0.0, 0.5, 0.9, 0.98, 1.0, rng.random())
        sparsity = rng.choice(choices) if self.sparsity is None else self.sparsity
        if integer:
            limit = 2 ** (self.bits[0] - 1) - 1
            weight = np.rint(rng.normal(0, limit / 3, shape)).clip(-limit, limit).astype(np.int8)
        else:
            weight = rng.normal(0, 0.4, shape).astype(np.float32)
        weight[rng.random(shape) < sparsity] = 0
        if self.sparsity is None and rng.random() < 0.3:
            weight[rng.integers(shape[0])] = 0
        return 1.0 - float(sparsity), weight
