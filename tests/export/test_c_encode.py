from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlcompress.artifact import AnyArray, Dense, TensorType
from rlcompress.export import c_encode
from rlcompress.export.c_encode import NO_GAPS, Stream


def layer(weight: AnyArray, bias: AnyArray) -> Dense:
    return Dense("layer", (0,), TensorType((len(weight),)), weight, np.ones(1, np.float32), bias)


def read(stream: Stream, shape: tuple[int, int], weight: str, bias: str) -> tuple[AnyArray, ...]:
    """Weights and biases of a stream, read as ``rlc.h`` describes it, bit by bit."""
    text = "".join(f"{byte:08b}"[::-1] for byte in stream.data)
    at = 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return int(text[at - count : at][::-1] or "0", 2)

    def gap() -> int:
        if stream.gap_bits == NO_GAPS:
            return 0
        high = 0
        while not take(1):
            high += 1
        return high << stream.gap_bits | take(stream.gap_bits)

    def value(fields: c_encode.Fields, dtype: str) -> AnyArray:
        bits = (fields.base + take(fields.width)) % 2**32
        if dtype == "float32":
            return np.array([bits >> 1 | (bits & 1) << 31], np.uint32).view(np.float32)[0]
        return np.array([bits], np.uint32).view(np.int32)[0]

    weights, biases = np.zeros(shape, weight), np.zeros(shape[0], bias)
    position = gap()
    for row in range(shape[0]):
        biases[row] = value(stream.biases, bias)
        while position < (row + 1) * shape[1]:
            weights[row, position - row * shape[1]] = value(stream.weights, weight)
            position += 1 + gap()
    assert len(stream.data) == max(1, -(-at // 8))
    return weights, biases


@st.composite
def layers(draw: st.DrawFn) -> Dense:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.tuples(st.integers(1, 20), st.integers(1, 40)))
    if draw(st.booleans()):
        weight: AnyArray = rng.normal(0, 1, shape).astype(np.float32)
    else:
        limit = draw(st.integers(1, 127))
        weight = rng.integers(-limit, limit + 1, shape).astype(np.int8)
    weight[rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 0.9, 0.99, 1.0]))] = 0
    if draw(st.booleans()):
        bias: AnyArray = rng.normal(0, draw(st.sampled_from([1e-3, 1.0, 1e30])), shape[0])
        bias = np.where(rng.random(shape[0]) < 0.2, -0.0, bias).astype(np.float32)
    else:
        bias = rng.integers(-(2**30), 2**30, shape[0], endpoint=True) >> draw(st.integers(0, 30))
        bias = bias.astype(np.int32)
    return layer(weight, bias)


@settings(max_examples=150, deadline=None)
@given(layers())
def test_a_stream_gives_back_what_was_packed(op):
    stream = c_encode.packed(op)
    weights, biases = read(stream, op.weight.shape, str(op.weight.dtype), str(op.bias.dtype))
    np.testing.assert_array_equal(weights, op.weight)
    assert biases.tobytes() == op.bias.tobytes()
    assert 0 <= stream.bias_bytes <= len(stream.data)


def test_a_stream_by_hand():
    # Gaps 1, 0, 2 and 2 after the last weight; with no low bits that is 01, 1, 001 and 001.
    op = layer(np.array([[0, 3, 4, 0], [0, 6, 0, 0]], np.int8), np.array([10, 11], np.int32))
    stream = c_encode.packed(op)
    assert (stream.gap_bits, stream.weights.base, stream.weights.width) == (0, 3, 2)
    assert (stream.biases.base, stream.biases.width) == (10, 1)
    bits = "01" + "0" + "00" + "1" + "10" + "001" + "1" + "11" + "001"
    expected = np.packbits([int(bit) for bit in bits], bitorder="little")
    np.testing.assert_array_equal(stream.data, expected)


def test_a_layer_without_zeros_has_no_gaps():
    weight = np.random.default_rng(0).integers(1, 128, (8, 16)).astype(np.int8)
    stream = c_encode.packed(layer(weight, np.zeros(8, np.int32)))
    assert stream.gap_bits == NO_GAPS
    assert len(stream.data) == weight.size * 7 // 8
    assert stream.biases.width == 0


def test_a_layer_of_nothing_but_zeros():
    op = layer(np.zeros((2, 3), np.int8), np.zeros(2, np.int32))
    assert c_encode.packed(op).data.tolist() == [0]
    weights, columns, counts = c_encode.indices(op)
    assert (weights.size, columns.size, counts.tolist()) == (0, 0, [0, 0])


@pytest.mark.parametrize(
    ("biases", "dtype"),
    [
        ([-128, 127], "int8"),
        ([-129, 0], "int16"),
        ([0, 128], "int16"),
        ([-(2**15), 2**15 - 1], "int16"),
        ([0, 2**15], "int32"),
        ([-(2**30), 2**30], "int32"),
    ],
)
def test_biases_take_the_narrowest_type_that_is_exact(biases, dtype):
    narrow = c_encode.narrowed(np.array(biases, np.int32))
    assert str(narrow.dtype) == dtype
    assert narrow.tolist() == biases


def test_indices_name_what_is_not_zero_and_take_bytes_where_they_can():
    weight = np.zeros((2, 300), np.int8)
    weight[0, [1, 255]] = 5, -6
    op = layer(weight, np.zeros(2, np.int32))
    weights, columns, counts = c_encode.indices(op)
    assert (weights.tolist(), columns.tolist(), counts.tolist()) == ([5, -6], [1, 255], [2, 0])
    assert (str(columns.dtype), str(counts.dtype)) == ("uint8", "uint8")
    weight[1, :] = 1
    _, columns, counts = c_encode.indices(op)
    assert (str(columns.dtype), str(counts.dtype)) == ("uint16", "uint16")
    wide = layer(np.ones((1, 2**16), np.int8), np.zeros(1, np.int32))
    assert c_encode.indices(wide) is None
