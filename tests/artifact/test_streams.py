import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlcompress.artifact import streams
from rlcompress.artifact.streams import Source, read_floats, read_integers, write_floats
from rlcompress.artifact.streams import write_integers as write

WIDE = 2**33


def read(record, data, count, low=-WIDE, high=WIDE):
    source = Source(data)
    values = read_integers(record, count, source, low=low, high=high)
    source.finish()
    return values


@st.composite
def integer_arrays(draw):
    """Uniform, geometric, constant and peaked numbers, which call for different codings."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, 400))
    base = draw(st.sampled_from([0, 0, 1, -127, -(2**30), 2**30]))
    shape = draw(st.sampled_from(["uniform", "geometric", "constant", "peaked"]))
    if shape == "constant":
        return np.full(count, base)
    if shape == "uniform":
        return base + rng.integers(0, 2 ** draw(st.integers(1, 31)), count)
    if shape == "geometric":
        return base + rng.geometric(10 ** -draw(st.floats(0.05, 5)), count)
    return base + np.where(rng.random(count) < 0.9, 3, rng.integers(0, 70000, count))


@given(integer_arrays())
def test_integers_come_back(values):
    record, data = write(values)
    np.testing.assert_array_equal(read(record, data, values.size), values)


@pytest.mark.parametrize(
    ("values", "coding"),
    [
        (np.arange(256), "pack"),
        (np.random.default_rng(0).geometric(0.005, 300), "rice"),
        (np.rint(np.random.default_rng(0).normal(128, 20, 5000)), "huffman"),
    ],
)
def test_each_coding_is_chosen_where_it_is_smallest(values, coding):
    record, data = write(values)
    assert record[0] == coding
    assert len(data) <= (int(values.max()).bit_length() * values.size + 7) // 8


@pytest.mark.parametrize("bits", [1, 2, 3, 5, 7, 8, 9, 13, 16, 17, 31, 32])
def test_packing_takes_exactly_its_bits(bits):
    values = np.random.default_rng(bits).integers(0, 2**bits, 101)
    values[:2] = 0, 2**bits - 1
    data = streams._pack(values, bits)
    assert len(data) == (101 * bits + 7) // 8
    np.testing.assert_array_equal(read(["pack", 0, bits], data, 101), values)


def test_constants_take_no_bytes():
    assert write(np.full(1000, -5)) == (["pack", -5, 0], b"")


def test_a_span_beyond_32_bits_is_refused():
    with pytest.raises(ValueError, match=r"span less than 2\^32, got a span of 33 bits"):
        write(np.array([0, 2**32]))


@given(st.integers(0, 2**32 - 1), st.integers(0, 300), st.booleans())
def test_floats_come_back_bit_for_bit(seed, count, few):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 0.1, count).astype(np.float32)
    if few:
        values = np.resize(np.array([1.5, -0.0, np.inf, 1e-42], np.float32), count)
    record, data = write_floats(values)
    source = Source(data)
    found = read_floats(record, count, source)
    source.finish()
    assert found.dtype == np.float32
    assert found.tobytes() == values.tobytes()
    assert len(data) <= values.nbytes


GOOD, GOOD_DATA = write(np.rint(np.random.default_rng(0).normal(128, 4, 500)))
RICE, RICE_DATA = write(np.random.default_rng(0).geometric(0.005, 500))


@pytest.mark.parametrize(
    ("record", "data", "message"),
    [
        (None, b"", "record must be"),
        ([], b"", "record must be"),
        (["lzma", 0, 8, 5], b"12345", "coding one of pack, huffman, rice"),
        (["pack", 0], b"", "record must be"),
        (["pack", 0, 8, 500], b"", "record must be"),
        (["pack", 0.0, 8], bytes(500), "record must be"),
        (["pack", True, 8], bytes(500), "record must be"),
        (["pack", 0, 33], bytes(9999), "record must be"),
        (["pack", 0, -1], b"", "record must be"),
        (["pack", 2**33, 0], b"", "record must be"),
        (["huffman", 0, 0, -1], b"", "record must be"),
        (["huffman", 0, 0, 2**40], b"", "record must be"),
        (["pack", 0, 8], bytes(499), "500 bytes is announced where 499 are left"),
        (["pack", 0, 8], bytes(501), "1 bytes follow the last stream"),
        (["pack", 0, 3], bytes(187) + b"\xff", "beyond the end of a stream must be zero"),
        ([*GOOD[:3], GOOD[3] - 1], GOOD_DATA[:-1], "does not end where it should|is damaged|hold"),
        ([*GOOD[:3], GOOD[3] + 1], GOOD_DATA + b"\0", "does not end where it should"),
        (["huffman", 0, 0, 100], b"\xff" * 100, "is damaged"),
        (["huffman", 0, 0, 62], bytes(62), "62 bytes cannot hold 500 numbers"),
        (["rice", 0, 0, 63], b"\xff" * 63, "500 numbers holds 504"),
        (["rice", 0, 0, 63], bytes(63), "500 numbers holds 0"),
        (RICE, RICE_DATA[:-1], "announced"),
    ],
)
def test_damaged_records_and_streams_are_refused(record, data, message):
    with pytest.raises(ValueError, match=message):
        read(record, data, 500)


def test_numbers_outside_their_range_are_refused():
    record, data = write(np.array([3, 4, 9]))
    with pytest.raises(ValueError, match=r"must lie in 3\.\.8, a stream holds 3\.\.9"):
        read(record, data, 3, low=3, high=8)
    with pytest.raises(ValueError, match=r"must lie in 4\.\.9, a stream holds 3\.\.9"):
        read(record, data, 3, low=4, high=9)


@pytest.mark.parametrize("record", [None, [], ["raw", 1], ["planes"], ["planes", 1, 2, 3], "raw"])
def test_damaged_records_of_floats_are_refused(record):
    with pytest.raises(ValueError, match=r"must be \['raw'\] or \['planes', 4 records\]"):
        read_floats(record, 3, Source(bytes(12)))


def test_a_decompression_bomb_stops_at_what_was_announced():
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflate.compress(bytes(2**28)) + deflate.flush()
    tracemalloc.start()
    with pytest.raises(ValueError, match="must hold 1000 bytes"):
        streams.inflate(bomb, 1000, exact=True)
    with pytest.raises(ValueError, match="must hold at most 1000 bytes"):
        streams.inflate(bomb, 1000, exact=False)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_allocations_are_bounded_by_the_size_of_the_file():
    source = Source(bytes(10))
    source.reserve(streams.MEMORY_FLOOR)
    source.reserve(10 * streams.MEMORY_PER_BYTE)
    with pytest.raises(ValueError, match="beyond what a file of 10 bytes can hold"):
        source.reserve(1)
    with pytest.raises(ValueError, match="beyond what a file of 10 bytes can hold"):
        read_integers(["pack", 0, 0], 2**40, Source(bytes(10)), low=0, high=0)
