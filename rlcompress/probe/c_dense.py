"""Writes a float32 policy as dense C for one shape, to be compiled on the spot; runs nothing.

This is the honest baseline of what a compiler makes of the same network when no weight is skipped:
loops are blocked for registers and weights are stored in the order in which they are read. It is
for measuring only; the exported C lives elsewhere and is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rlcompress.artifact import (
    Activation,
    Add,
    AnyArray,
    CompressedPolicy,
    Conv,
    Dense,
    Flatten,
    Function,
    Linear,
    MaxPool,
    Observation,
)
from rlcompress.probe.c_head import head

MAX_VECTORS = 4
POSITIONS = 4

_PROLOGUE = """\
#include <math.h>
#include <stdint.h>
#include <string.h>
typedef float vec __attribute__((vector_size({size}), aligned(4)));
static const float *parameters[{parameters}];
void set(int index, const float *values) {{ parameters[index] = values; }}
"""


@dataclass
class Source:
    """C source under construction and the arrays it will be given, by number.

    The compiled library has ``set(index, array)`` for each of ``parameters``, and ``run(array)``,
    which fills its variable ``action``.
    """

    lanes: int
    parameters: list[AnyArray] = field(default_factory=list)
    buffers: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)

    def parameter(self, values: AnyArray) -> str:
        """C expression of an array that is handed over at run time."""
        self.parameters.append(np.ascontiguousarray(values, np.float32))
        return f"parameters[{len(self.parameters) - 1}]"

    def buffer(self, name: str, size: int) -> str:
        """A static array with room for the filled-up rows of a dense layer's last tile."""
        self.buffers.append(f"static float {name}[{size + MAX_VECTORS * self.lanes}];")
        return name

    def text(self) -> str:
        """The whole source."""
        prologue = _PROLOGUE.format(parameters=max(1, len(self.parameters)), size=4 * self.lanes)
        return "\n".join([prologue, *self.buffers, *self.body])


def write(policy: CompressedPolicy, batch: int, lanes: int) -> Source:
    """C of a float policy (as ``dequantised`` gives it) for ``batch`` observations per call.

    ``lanes`` floats make a vector of the machine that it will be compiled for.
    """
    source = Source(lanes)
    where = [source.buffer("v0", policy.observation.value.size)]
    steps = [_observation(source, policy.observation)]
    for index, op in enumerate(policy.ops):
        inputs = [where[k] for k in op.inputs]
        if isinstance(op, Flatten):
            where.append(inputs[0])
            continue
        out = source.buffer(f"v{index + 1}", op.output.size)
        where.append(out)
        shapes = [policy.values[k].shape for k in op.inputs]
        if isinstance(op, Conv):
            steps.append(_conv(source, op, inputs[0], shapes[0], out))
        elif isinstance(op, Dense):
            steps.append(_dense(source, op, inputs[0], out))
        elif isinstance(op, MaxPool):
            steps.append(_pool(op, inputs[0], shapes[0], out))
        elif isinstance(op, Add):
            steps.append(_each(op.output.size, out, f"{inputs[0]}[i] + {inputs[1]}[i]"))
        else:
            assert isinstance(op, Activation)
            steps.append(_each(op.output.size, out, f"{inputs[0]}[i]"))
            steps.append(_function(op.function, op.bound, out, op.output.size))
    body = "\n".join(steps)
    source.body.append(head(policy, where[-1], batch))
    kind = "uint8_t" if policy.observation.image else "float"
    size = int(np.prod(policy.observation.shape))
    source.body.append(
        f"static void one(const {kind} *restrict x) {{\n{body}\n}}\n"
        f"void run(const {kind} *observations) {{\n"
        f"  for (long n = 0; n < {batch}; n++) {{ one(observations + n * {size}); act(n); }}\n}}"
    )
    return source


def _observation(source: Source, observation: Observation) -> str:
    size = observation.value.size
    value = "x[i]"
    if observation.mean is not None and observation.inv_std is not None:
        mean = source.parameter(observation.mean.reshape(-1))
        inv_std = source.parameter(observation.inv_std.reshape(-1))
        limit = f"{observation.clip!r}f"
        value = f"fminf(fmaxf((x[i] - {mean}[i]) * {inv_std}[i], -{limit}), {limit})"
    if len(observation.shape) != 3 or not observation.channels_first:
        return _each(size, "v0", value)
    channels, height, width = observation.shape
    pixels = height * width
    return (
        f"for (long c = 0; c < {channels}; c++) for (long p = 0; p < {pixels}; p++) {{\n"
        f"  long i = c * {pixels} + p; v0[p * {channels} + c] = {value}; }}"
    )


def _each(size: int, out: str, value: str) -> str:
    return f"for (long i = 0; i < {size}; i++) {out}[i] = {value};"


def _function(function: Function, bound: float, name: str, size: int) -> str:
    values = {
        "none": "",
        "relu": f"{name}[i] > 0 ? {name}[i] : 0",
        "tanh": f"tanhf({name}[i])",
        "hard_tanh": f"fminf(fmaxf({name}[i], -{float(bound)!r}f), {float(bound)!r}f)",
    }
    return _each(size, name, values[function]) if values[function] else ""


def _tiles(op: Linear, width: int) -> tuple[AnyArray, AnyArray]:
    """Weights as (tile, column, row of the tile) and biases, rows filled up with zeros."""
    matrix = op.matrix * op.multiplier.reshape(-1, 1)
    rows = -(-matrix.shape[0] // width) * width
    padded = np.zeros((rows, matrix.shape[1]), np.float32)
    padded[: len(matrix)] = matrix
    bias = np.zeros(rows, np.float32)
    bias[: len(op.bias)] = op.bias
    return padded.reshape(-1, width, matrix.shape[1]).transpose(0, 2, 1), bias


def _dense(source: Source, op: Dense, x: str, out: str) -> str:
    rows = op.weight.shape[0]
    vectors = min(MAX_VECTORS, -(-rows // source.lanes))
    width = vectors * source.lanes
    weight, bias = _tiles(op, width)
    w, b = source.parameter(weight), source.parameter(bias)
    return "\n".join(
        [
            f"{{ const float *w = {w}; const float *b = {b};",
            f"for (long r = 0; r < {rows}; r += {width}) {{",
            *[f"  vec a{v} = *(const vec *)(b + r + {v * source.lanes});" for v in range(vectors)],
            f"  for (long k = 0; k < {op.weight.shape[1]}; k++, w += {width}) {{",
            *[
                f"    a{v} += {x}[k] * *(const vec *)(w + {v * source.lanes});"
                for v in range(vectors)
            ],
            "  }",
            *[f"  *(vec *)({out} + r + {v * source.lanes}) = a{v};" for v in range(vectors)],
            "} }",
            _function(op.function, op.bound, out, rows),
        ]
    )


def _conv(source: Source, op: Conv, x: str, shape: tuple[int, ...], out: str) -> str:
    height, width, depth = shape
    channels, _, kernel_width, _ = op.weight.shape
    if any(op.padding):
        x, copy = _padded(source, op, x, shape)
        height, width = height + 2 * op.padding[0], width + 2 * op.padding[1]
    else:
        copy = ""
    vectors = min(2, -(-channels // source.lanes))
    tile = vectors * source.lanes
    weight, bias = _tiles(op, tile)
    w, b = source.parameter(weight), source.parameter(bias)
    out_height, out_width, _ = op.output.shape
    taps = kernel_width * depth
    setting = {"row": width * depth, "step": op.stride[1] * depth, "taps": taps, "tile": tile}
    lines = [
        copy,
        f"{{ const float *w = {w}; const float *b = {b};",
        f"for (long r = 0; r < {channels}; r += {tile}, w += {op.matrix.shape[1] * tile})",
        f"for (long oy = 0; oy < {out_height}; oy++) {{",
        f"  const float *at = {x} + oy * {op.stride[0] * width * depth};",
        f"  float *to = {out} + oy * {out_width * channels} + r; long ox = 0;",
        f"  long rows = {channels} - r < {tile} ? {channels} - r : {tile};",
        f"  for (; ox + {POSITIONS} <= {out_width}; ox += {POSITIONS}) {{",
        _positions(op, POSITIONS, vectors, **setting),
        f"  }}\n  for (; ox < {out_width}; ox++) {{",
        _positions(op, 1, vectors, **setting),
        "} } }",
        _function(op.function, op.bound, out, op.output.size),
    ]
    return "\n".join(lines)


def _positions(
    op: Conv, count: int, vectors: int, *, row: int, step: int, taps: int, tile: int
) -> str:
    """Sums of ``count`` neighbouring positions, weights loaded once for all of them."""
    channels, kernel_height = op.weight.shape[:2]
    lanes = tile // vectors
    pairs = [(p, v) for p in range(count) for v in range(vectors)]
    return "\n".join(
        [
            *[f"    vec a{p}_{v} = *(const vec *)(b + r + {v * lanes});" for p, v in pairs],
            f"    const float *k = w, *s = at + ox * {step};",
            f"    for (long y = 0; y < {kernel_height}; y++, s += {row})",
            f"    for (long j = 0; j < {taps}; j++, k += {tile}) {{",
            *[f"      vec w{v} = *(const vec *)(k + {v * lanes});" for v in range(vectors)],
            *[f"      a{p}_{v} += s[j + {p * step}] * w{v};" for p, v in pairs],
            "    }",
            f"    float sums[{count}][{tile}];",
            *[f"    *(vec *)(sums[{p}] + {v * lanes}) = a{p}_{v};" for p, v in pairs],
            f"    for (long p = 0; p < {count}; p++)",
            f"      memcpy(to + (ox + p) * {channels}, sums[p], rows * sizeof(float));",
        ]
    )


def _padded(source: Source, op: Conv, x: str, shape: tuple[int, ...]) -> tuple[str, str]:
    """A copy of ``x`` with a border of zeros, which nothing ever writes to."""
    height, width, depth = shape
    top, left = op.padding
    wide = (width + 2 * left) * depth
    name = source.buffer(f"p{len(source.buffers)}", (height + 2 * top) * wide)
    copy = (
        f"for (long y = 0; y < {height}; y++)\n"
        f"  memcpy({name} + (y + {top}) * {wide} + {left * depth}, {x} + y * {width * depth}, "
        f"{width * depth} * sizeof(float));"
    )
    return name, copy


def _pool(op: MaxPool, x: str, shape: tuple[int, ...], out: str) -> str:
    height, width, depth = shape
    out_height, out_width, _ = op.output.shape
    return "\n".join(
        [
            f"for (long oy = 0; oy < {out_height}; oy++)",
            f"for (long ox = 0; ox < {out_width}; ox++) {{",
            f"  float *to = {out} + (oy * {out_width} + ox) * {depth};",
            f"  for (long c = 0; c < {depth}; c++) to[c] = -INFINITY;",
            f"  for (long ky = 0; ky < {op.kernel[0]}; ky++)",
            f"  for (long kx = 0; kx < {op.kernel[1]}; kx++) {{",
            f"    long y = oy * {op.stride[0]} + ky - {op.padding[0]};",
            f"    long x = ox * {op.stride[1]} + kx - {op.padding[1]};",
            f"    if (y < 0 || y >= {height} || x < 0 || x >= {width}) continue;",
            f"    const float *from = {x} + (y * {width} + x) * {depth};",
            f"    for (long c = 0; c < {depth}; c++) to[c] = from[c] > to[c] ? from[c] : to[c];",
            "  }\n}",
        ]
    )
