"""A policy's ops, observation and action as one compact program followed by its streams.

Owns what is written about each record; codings of numbers are the business of ``streams.py`` and
``codec.py``, the file around them ``file.py``'s, the way back ``reader.py``'s. What follows from
something else (shapes of weights and values) is not written, nor what has its default value.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlcompress.artifact import codec, streams
from rlcompress.artifact.records import (
    Action,
    Activation,
    Add,
    BinaryDense,
    Conv,
    Dense,
    Encode,
    Flatten,
    FloatArray,
    Linear,
    MaxPool,
    Observation,
    Op,
    PolicyData,
)
from rlcompress.artifact.streams import Record

PROGRAM_LIMIT = 2**20
"""Most bytes of the JSON program; a layer takes about two hundred."""

OP_NAMES: dict[str, type[Op]] = {
    "dense": Dense,
    "conv": Conv,
    "max_pool": MaxPool,
    "add": Add,
    "activation": Activation,
    "flatten": Flatten,
    "encode": Encode,
    "binary_dense": BinaryDense,
}

DEFAULTS: dict[str, Any] = {
    "function": "none",
    "bound": 1.0,
    "code": "thermometer",
    "stride": [1, 1],
    "padding": [0, 0],
    "multipliers": [1.0, 1.0],
    "type": None,
    "image": False,
    "channels_first": False,
    "scale": 1.0,
    "clip": 10.0,
    "mean": None,
    "inv_std": None,
    "low": None,
    "high": None,
    "quantiles": 1,
    "start": 0,
    "bias": None,
    "fires": False,
}
"""Fields that are left out of the program where they have these values."""


PROGRAM_DICTIONARY = (
    b'"channels_first":true,"clip":"mean":"inv_std":"quantiles":"start":-1,"stride":[2,2],'
    b'"padding":[1,1],"kernel":[3,3],"multipliers":[0.,"op":"flatten","op":"add","op":"max_pool",'
    b'"op":"activation","function":"hard_tanh","function":"tanh","bound":0.,"type":["signed",8,0.0'
    b'"op":"conv","bitmap","rows","dense","raw","planes"{"observation":{"shape":[4,84,84],'
    b'"image":true,"channels_first":true,"scale":0.00392156862745098},"action":{"kind":"argmax",'
    b'"kind":"clip","kind":"squash","shape":[3],"low":["raw"],"high":["raw"]},"ops":['
    b'{"op":"dense","name":"latent_pi.0","type":["unsigned",8,0.01],"function":"relu",'
    b'"outputs":256,"weight":["int8","gaps",356,[["rice",0,6,["huffman",-127,2,25]]],'
    b'"multiplier":[1,["raw"]],"bias":["float32",["planes",["pack",1,8],["pack",0,8],["pack",1,8],'
    b'["huffman",59,0,99]]]},{"op":"dense","name":"mu","outputs":512,"weight":["float32","bitmap",'
    b'345,[["pack",0,8],["pack",-127,8]]],"multiplier":[1,["raw"]],"bias":["int32",["pack",-26,17]]'
    b"}]}"
)
"""What programs look like, for deflate to refer to: small policies become 5 % smaller by it.

Part of format 1: not one byte of it may change without a new version.
"""


@dataclass(frozen=True)
class LayerBytes:
    """How a layer was stored: encoding and bytes of its weights, bytes of bias and multiplier."""

    encoding: str
    weight_bytes: int
    bias_bytes: int


class _Streams:
    """The streams in the order they will be read in."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.layers: list[LayerBytes] = []

    def floats(self, values: FloatArray | None) -> Record | None:
        if values is None:
            return None
        record, data = streams.write_floats(values)
        self.parts.append(data)
        return record

    def numbers(self, op: Op) -> dict[str, Any]:
        """What an op has in streams."""
        if isinstance(op, Linear):
            return self.linear(op)
        if isinstance(op, Encode):
            return self.encode(op)
        return self.binary(op) if isinstance(op, BinaryDense) else {}

    def linear(self, op: Linear) -> dict[str, Any]:
        weight, data = codec.write_weights(op.matrix)
        self.parts.append(data)
        rest = len(self.parts)
        multiplier = [len(op.multiplier), self.floats(op.multiplier)]
        if op.integer:
            bias, bias_data = streams.write_integers(op.bias)
            self.parts.append(bias_data)
        else:
            bias, bias_data = streams.write_floats(op.bias)
            self.parts.append(bias_data)
        self.layers.append(LayerBytes(weight[0], len(data), sum(map(len, self.parts[rest:]))))
        return {
            "outputs": int(op.weight.shape[0]),
            "weight": [str(op.weight.dtype), *weight],
            "multiplier": multiplier,
            "bias": [str(op.bias.dtype), bias],
        }

    def encode(self, op: Encode) -> dict[str, Any]:
        steps = even_steps(op.edges)
        stored = op.edges if steps is None else np.stack([op.edges[:, 0], steps], axis=1)
        layout = "each" if steps is None else "even"
        return {"edges": [layout, int(op.edges.shape[1]), self.floats(stored)], "code": op.code}

    def binary(self, op: BinaryDense) -> dict[str, Any]:
        bits = np.packbits(op.weight.reshape(-1), bitorder="little")
        weight, data = streams.write_integers(bits)
        self.parts.append(data)
        bias, bias_data = None, b""
        if op.bias.any():
            bias, bias_data = streams.write_integers(op.bias)
            self.parts.append(bias_data)
        self.layers.append(LayerBytes("bits", len(data), len(bias_data)))
        fires = op.output.kind == "binary"
        return {"outputs": len(op.weight), "weight": weight, "bias": bias, "fires": fires}


def even_edges(first: FloatArray, step: FloatArray, count: int) -> FloatArray:
    """The edges first + k * step of each input, in float32."""
    places = np.arange(count, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        edges: FloatArray = first[:, None] + places * step[:, None]
    return edges


def even_steps(edges: FloatArray) -> FloatArray | None:
    """The step of each input where ``even_edges`` gives back every edge, else None."""
    count = edges.shape[1]
    if count < 3:
        return None
    span = edges[:, -1] - edges[:, 0]
    for step in (span / np.float32(count - 1), edges[:, 1] - edges[:, 0]):
        if np.array_equal(even_edges(edges[:, 0], step, count), edges):
            return np.asarray(step, np.float32)
    return None


def write_program(policy: PolicyData) -> tuple[bytes, tuple[LayerBytes, ...]]:
    """The program with its streams, and how each layer was stored."""
    writer = _Streams()
    program = {
        "observation": _observation(policy.observation, writer),
        "action": _action(policy.action, writer),
        "ops": [_op(op, index, writer) for index, op in enumerate(policy.ops)],
    }
    text = json.dumps(program, separators=(",", ":"), allow_nan=False).encode()
    if len(text) > PROGRAM_LIMIT:
        raise ValueError(f"{len(policy.ops)} ops are more than a file can hold")
    compressor = zlib.compressobj(
        9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, PROGRAM_DICTIONARY
    )
    packed = compressor.compress(text) + compressor.flush()
    data = struct.pack("<I", len(packed)) + packed + b"".join(writer.parts)
    return data, tuple(writer.layers)


def _op(op: Op, index: int, writer: _Streams) -> dict[str, Any]:
    name = next(name for name, kind in OP_NAMES.items() if type(op) is kind)
    fields: dict[str, Any] = {"op": name, "name": op.name}
    if tuple(op.inputs) != (index,):
        fields["inputs"] = [int(value) for value in op.inputs]
    if op.output.kind != "float" and not isinstance(op, MaxPool | Flatten | Encode | BinaryDense):
        fields["type"] = [op.output.kind, int(op.output.bits), float(op.output.scale)]
    if isinstance(op, Linear | Activation):
        fields |= {"function": op.function, "bound": float(op.bound)}
    if isinstance(op, Conv):
        fields["kernel"] = _integers(op.weight.shape[1:3])
    if isinstance(op, MaxPool):
        fields["kernel"] = _integers(op.kernel)
    if isinstance(op, Conv | MaxPool):
        fields |= {"stride": _integers(op.stride), "padding": _integers(op.padding)}
    if isinstance(op, Add):
        fields["multipliers"] = [float(multiplier) for multiplier in op.multipliers]
    fields |= writer.numbers(op)
    return _brief(fields)


def _observation(observation: Observation, writer: _Streams) -> dict[str, Any]:
    return _brief(
        {
            "shape": _integers(observation.shape),
            "image": bool(observation.image),
            "channels_first": bool(observation.channels_first),
            "scale": float(observation.scale),
            "mean": writer.floats(observation.mean),
            "inv_std": writer.floats(observation.inv_std),
            "clip": float(observation.clip),
        }
    )


def _action(action: Action, writer: _Streams) -> dict[str, Any]:
    return _brief(
        {
            "kind": action.kind,
            "shape": _integers(action.shape),
            "low": writer.floats(action.low),
            "high": writer.floats(action.high),
            "quantiles": int(action.quantiles),
            "start": int(action.start),
        }
    )


def _integers(values: tuple[int, ...]) -> list[int]:
    return [int(value) for value in values]


def _brief(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in fields.items()
        if name not in DEFAULTS or value != DEFAULTS[name]
    }
