"""A policy out of the program and streams that ``writer.py`` made, or that somebody forged.

Owns the bounds that hold before anything is allocated from a number in a file; what makes a policy
fit to run is ``validate.py``'s business, and everything that is read here goes there next.
"""

from __future__ import annotations

import struct
from typing import Any, get_args

import numpy as np

from rlcompress.artifact import codec, streams
from rlcompress.artifact.fields import Fields, nearest, parse_object
from rlcompress.artifact.reader_binary import read_binary, read_encode
from rlcompress.artifact.records import (
    BIAS_LIMIT,
    Action,
    Activation,
    Add,
    AnyArray,
    BinaryDense,
    Conv,
    Dense,
    Encode,
    Flatten,
    FloatArray,
    Function,
    Kind,
    MaxPool,
    Observation,
    Op,
    PolicyData,
    TensorType,
)
from rlcompress.artifact.shapes import (
    AXES_LIMIT,
    VALUE_LIMIT,
    check_size,
    check_weights,
    window_shape,
)
from rlcompress.artifact.streams import Source
from rlcompress.artifact.writer import (
    DEFAULTS,
    OP_NAMES,
    PROGRAM_DICTIONARY,
    PROGRAM_LIMIT,
)


def read_program(data: bytes) -> PolicyData:
    """The policy, without golden data and meta, of a program with its streams."""
    length = struct.unpack("<I", data[:4])[0] if len(data) >= 4 else len(data)
    if length > len(data) - 4:
        raise ValueError("the program is longer than the file")
    packed = data[4 : 4 + length]
    text = streams.inflate(packed, PROGRAM_LIMIT, exact=False, dictionary=PROGRAM_DICTIONARY)
    fields = Fields(parse_object(text, "the program"), "the program")
    source = Source(data[4 + length :])
    observation = _read_observation(fields.raw("observation"), source)
    action = _read_action(fields.raw("action"), source)
    sources = fields.raw("ops")
    if not isinstance(sources, list):
        raise ValueError(f"ops must be a list, got {sources!r:.40}")
    fields.finish()
    values, ops = [observation.value], []
    for index, op in enumerate(sources):
        try:
            ops.append(_read_op(op, values, source))
        except ValueError as error:
            name = op.get("name") if isinstance(op, dict) else None
            raise ValueError(f"op {index} {name!r:.40}: {error}") from None
        values.append(ops[-1].output)
    source.finish()
    return PolicyData(tuple(ops), observation, action)


def _read_observation(raw: object, source: Source) -> Observation:
    fields = Fields(raw, "the observation")
    shape = fields.integers("shape", count=(1, AXES_LIMIT), high=VALUE_LIMIT)
    size = check_size("the observation", shape)
    observation = Observation(
        shape,
        fields.flag("image"),
        fields.flag("channels_first"),
        _number(fields, "scale"),
        _floats(fields.raw("mean", None), size, source, shape),
        _floats(fields.raw("inv_std", None), size, source, shape),
        _number(fields, "clip"),
    )
    fields.finish()
    return observation


def _read_action(raw: object, source: Source) -> Action:
    fields = Fields(raw, "the action")
    shape = fields.integers("shape", count=(0, AXES_LIMIT), high=VALUE_LIMIT)
    size = check_size("the action", shape)
    kind: Any = fields.text("kind", ("squash", "clip", "argmax", "count"))
    action = Action(
        kind,
        shape,
        _floats(fields.raw("low", None), size, source),
        _floats(fields.raw("high", None), size, source),
        fields.integer("quantiles", 1, low=1, high=VALUE_LIMIT),
        fields.integer("start", 0, low=-(2**53), high=2**53),
    )
    fields.finish()
    return action


def _read_op(raw: object, values: list[TensorType], source: Source) -> Op:
    fields = Fields(raw, "it")
    kind = fields.text("op")
    if kind not in OP_NAMES:
        raise ValueError(
            f"op {kind!r:.40} is unknown{nearest(kind, OP_NAMES)}; "
            "a newer rlcompress may have written it: update, or export the policy again"
        )
    name = fields.text("name")
    inputs = fields.integers("inputs", [len(values) - 1], count=(1, 2), high=len(values) - 1)
    op = _READERS[OP_NAMES[kind]](fields, name, inputs, values[inputs[0]], source)
    fields.finish()
    return op


def _read_dense(
    fields: Fields, name: str, inputs: tuple[int, ...], given: TensorType, source: Source
) -> Op:
    outputs = fields.integer("outputs", low=1, high=VALUE_LIMIT)
    shape = (outputs, given.size)
    check_weights(shape)
    output = _type(fields, (outputs,))
    return Dense(name, inputs, output, **_numbers(fields, shape, source))


def _read_conv(
    fields: Fields, name: str, inputs: tuple[int, ...], given: TensorType, source: Source
) -> Op:
    outputs = fields.integer("outputs", low=1, high=VALUE_LIMIT)
    kernel, stride, padding = _window(fields)
    places = window_shape(given.shape, outputs, kernel, stride, padding)
    shape = (outputs, *kernel, given.shape[2])
    check_weights(shape, places[0] * places[1])
    output = _type(fields, places)
    numbers = _numbers(fields, shape, source)
    return Conv(name, inputs, output, **numbers, stride=stride, padding=padding)


def _read_max_pool(
    fields: Fields, name: str, inputs: tuple[int, ...], given: TensorType, source: Source
) -> Op:
    kernel, stride, padding = _window(fields)
    depth = given.shape[-1]
    output = _same(given, window_shape(given.shape, depth, kernel, stride, padding))
    return MaxPool(name, inputs, output, kernel, stride, padding)


def _read_add(
    fields: Fields, name: str, inputs: tuple[int, ...], given: TensorType, source: Source
) -> Op:
    raw = fields.raw("multipliers", DEFAULTS["multipliers"])
    if not (isinstance(raw, list) and len(raw) == 2 and all(type(item) is float for item in raw)):
        raise ValueError(f"multipliers must be two numbers, got {raw!r:.60}")
    return Add(name, inputs, _type(fields, given.shape), (raw[0], raw[1]))


def _read_activation(
    fields: Fields, name: str, inputs: tuple[int, ...], given: TensorType, source: Source
) -> Op:
    function, bound = _function(fields)
    return Activation(name, inputs, _type(fields, given.shape), function, bound)


def _read_flatten(
    fields: Fields, name: str, inputs: tuple[int, ...], given: TensorType, source: Source
) -> Op:
    return Flatten(name, inputs, _same(given, (given.size,)))


_READERS = {
    Dense: _read_dense,
    Conv: _read_conv,
    MaxPool: _read_max_pool,
    Add: _read_add,
    Activation: _read_activation,
    Flatten: _read_flatten,
    Encode: read_encode,
    BinaryDense: read_binary,
}


def _numbers(fields: Fields, shape: tuple[int, ...], source: Source) -> dict[str, Any]:
    """Weight, multiplier, bias and function of a layer with bounded weights of ``shape``."""
    record = fields.raw("weight")
    dtype = record[0] if isinstance(record, list) and record else None
    if dtype not in ("int8", "float32"):
        raise ValueError(f"weights must be int8 or float32, got {dtype!r:.40}")
    rows = shape[0]
    columns = int(np.prod(shape[1:]))
    weight = codec.read_weights(record[1:], (rows, columns), dtype, source).reshape(shape)
    count, multiplier = _two(fields.raw("multiplier"), "multiplier")
    if type(count) is not int or count not in (1, rows):
        raise ValueError(f"it must have 1 or {rows} multipliers, got {count!r:.40}")
    function, bound = _function(fields)
    return {
        "weight": weight,
        "multiplier": streams.read_floats(multiplier, count, source),
        "bias": _bias(fields.raw("bias"), rows, source),
        "function": function,
        "bound": bound,
    }


def _bias(raw: object, count: int, source: Source) -> AnyArray:
    dtype, record = _two(raw, "bias")
    if dtype == "float32":
        return streams.read_floats(record, count, source)
    if dtype != "int32":
        raise ValueError(f"bias must be int32 or float32, got {dtype!r:.40}")
    values = streams.read_integers(record, count, source, low=-BIAS_LIMIT, high=BIAS_LIMIT)
    return values.astype(np.int32)


def _two(raw: object, what: str) -> tuple[Any, Any]:
    if not (isinstance(raw, list) and len(raw) == 2):
        raise ValueError(f"{what} must be a list of two, got {raw!r:.60}")
    return raw[0], raw[1]


def _function(fields: Fields) -> tuple[Function, float]:
    function: Any = DEFAULTS["function"]
    if fields.has("function"):
        function = fields.text("function", get_args(Function))
    return function, _number(fields, "bound")


def _window(fields: Fields) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Kernel, stride and padding."""
    kernel = fields.pair("kernel", low=1, high=VALUE_LIMIT)
    stride = fields.pair("stride", DEFAULTS["stride"], low=1, high=VALUE_LIMIT)
    padding = fields.pair("padding", DEFAULTS["padding"], low=0, high=VALUE_LIMIT)
    return kernel, stride, padding


def _type(fields: Fields, shape: tuple[int, ...]) -> TensorType:
    """The type of a value of ``shape``: float where none is written."""
    raw = fields.raw("type", None)
    if raw is None:
        return TensorType(shape)
    if isinstance(raw, list) and len(raw) == 3:
        kind, bits, scale = raw
        if kind in get_args(Kind) and type(bits) is int and type(scale) is float:
            return TensorType(shape, kind, bits, scale)
    raise ValueError(f"a type must be [kind, bits, scale], got {raw!r:.60}")


def _same(given: TensorType, shape: tuple[int, ...]) -> TensorType:
    return TensorType(shape, given.kind, given.bits, given.scale)


def _number(fields: Fields, name: str) -> float:
    return fields.number(name, DEFAULTS[name])


def _floats(
    record: object, count: int, source: Source, shape: tuple[int, ...] = (-1,)
) -> FloatArray | None:
    if record is None:
        return None
    return streams.read_floats(record, count, source).reshape(shape)
