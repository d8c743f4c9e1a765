import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlcompress.artifact import codec, streams
from rlcompress.artifact.codec import LAYOUTS, entropy_bytes, read_weights, write_weights
from rlcompress.artifact.streams import Source
from tests.artifact.networks import NETWORKS, SPARSITIES


def read(record, data, shape, dtype):
    source = Source(data)
    matrix = read_weights(record, shape, dtype, source)
    source.finish()
    return matrix


@st.composite
def matrices(draw):
    """int8 and float32, every density, some rows and columns empty."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 300))
    density = draw(st.sampled_from([0.0, 0.001, 0.02, 0.1, 0.5, 1.0]))
    if draw(st.booleans()):
        limit = 2 ** (draw(st.integers(2, 8)) - 1) - 1
        matrix = rng.integers(-limit, limit + 1, shape).astype(np.int8)
    else:
        matrix = rng.normal(0, 1, shape).astype(np.float32)
    matrix[rng.random(shape) >= density] = 0
    matrix[rng.random(shape[0]) < draw(st.sampled_from([0.0, 0.5]))] = 0
    matrix[:, rng.random(shape[1]) < draw(st.sampled_from([0.0, 0.5]))] = 0
    return matrix


@given(matrices())
def test_weights_come_back(matrix):
    record, data = write_weights(matrix)
    found = read(record, data, matrix.shape, matrix.dtype)
    assert found.dtype == matrix.dtype
    np.testing.assert_array_equal(found, matrix)


@pytest.mark.parametrize("name", LAYOUTS)
@given(matrices())
def test_positions_come_back_in_every_layout(name, matrix):
    positions = np.flatnonzero(matrix)
    parts = iter(LAYOUTS[name].write(positions, matrix.shape))

    def read_part(count, largest):
        part = next(parts)
        assert part.size == count
        assert part.size == 0 or (part.min() >= 0 and part.max() <= largest)
        return part

    found = LAYOUTS[name].read(positions.size, matrix.shape, read_part)
    np.testing.assert_array_equal(found, positions)


@given(matrices())
def test_the_smallest_layout_is_chosen(matrix):
    record, data = write_weights(matrix)
    positions = np.flatnonzero(matrix)
    values = matrix.ravel()[positions]
    if values.dtype == np.int8:
        values = values - (values > 0)
    sizes = {"dense": len(codec._write_values(matrix.ravel() + matrix.dtype.type(0))[1])}
    for name, layout in LAYOUTS.items():
        parts = layout.write(positions, matrix.shape)
        written = [streams.write_integers(part) for part in parts]
        sizes[name] = sum(len(part) for _, part in [*written, codec._write_kept(values)])
    assert len(data) == sizes[record[0]] == min(sizes.values())


def test_rows_win_where_rows_differ():
    matrix = np.zeros((200, 250), np.int8)
    matrix[::10, ::3] = 1
    assert write_weights(matrix)[0][0] == "rows"


def test_large_magnitudes_of_both_signs_are_folded():
    """As magnitude pruning leaves them: the numbers between take no room."""
    rng = np.random.default_rng(0)
    matrix = np.zeros((40, 50), np.int8)
    chosen = rng.choice(matrix.size, 80, replace=False)
    matrix.flat[chosen] = rng.choice([-127, -126, 126, 127], 80)
    (_, kept, records), data = write_weights(matrix)
    assert kept == 80 and records[-1][0] == codec.FOLDED
    np.testing.assert_array_equal(
        read(write_weights(matrix)[0], data, matrix.shape, np.int8), matrix
    )
    assert len(data) <= 1.25 * entropy_bytes(matrix)


@pytest.mark.parametrize("values", [[-127, 127], [1, -1, 127], [-1], [126, -126, 5]])
def test_folded_numbers_come_back(values):
    values = np.array(values, np.int8)
    record, data = streams.write_integers(np.array([2 * abs(int(v)) - 2 + (v < 0) for v in values]))
    found = codec._read_kept([codec.FOLDED, record], values.size, np.int8, Source(data))
    np.testing.assert_array_equal(found + (found >= 0), values)


def test_few_bits_take_few_bits():
    rng = np.random.default_rng(0)
    ternary = rng.choice(np.array([-1, 1], np.int8), (64, 64))
    assert len(write_weights(ternary)[1]) <= 64 * 64 / 8
    three_bits = rng.integers(-3, 4, (64, 64)).astype(np.int8)
    assert len(write_weights(three_bits)[1]) <= 64 * 64 * 3 / 8


def test_an_empty_layer_takes_nothing():
    record, data = write_weights(np.zeros((256, 256), np.int8))
    assert data == b""
    assert not read(record, data, (256, 256), np.int8).any()


def test_negative_zero_is_zero():
    matrix = np.array([[1.0, -0.0, 2.0]], np.float32)
    record, data = write_weights(matrix)
    assert not np.signbit(read(record, data, (1, 3), np.float32)).any()


def encoded(policy):
    sizes = [len(write_weights(op.matrix)[1]) for op in policy.linears]
    return sum(sizes) / sum(entropy_bytes(op.weight) for op in policy.linears)


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("network", ["hopper", "humanoid"])
def test_mlps_come_close_to_their_entropy(network, sparsity):
    assert encoded(NETWORKS[network](sparsity)) < 1.15
    assert encoded(NETWORKS[network](sparsity, quantised=False)) < 1.2


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("network", ["nature_cnn", "impala"])
def test_convolutional_networks_come_close_to_their_entropy(network, sparsity):
    assert encoded(NETWORKS[network](sparsity)) < 1.05


def test_pruned_float_networks_come_close_to_their_entropy():
    assert encoded(NETWORKS["nature_cnn"](0.95, quantised=False)) < 1.05


def test_entropy_by_hand():
    assert entropy_bytes(np.array([[0, 1], [0, 1]], np.int8)) == pytest.approx(0.5)
    assert entropy_bytes(np.array([[1, 2, 3, 4]], np.int8)) == pytest.approx(1.0)
    assert entropy_bytes(np.zeros((3, 3), np.int8)) == 0.0
    # Mask: 8 bits; four values, two of each of two kinds in one byte of four: 4 bits.
    weights = np.array([[0, 0, 0, 0, 1, 1, 1.5, 1.5]], np.float32)
    assert entropy_bytes(weights) == pytest.approx(12 / 8)


SHAPE = (10, 20)
MATRIX = np.zeros(SHAPE, np.int8)
MATRIX.ravel()[::7] = 5
COUNTS = [["pack", 0, 0], ["pack", 5, 0]]


@pytest.mark.parametrize(
    ("record", "data", "message"),
    [
        (None, b"", "weights must be"),
        (["gaps", 3], b"", "weights must be"),
        (["zip", 3, []], b"", "one of dense, bitmap, gaps, rows, got 'zip'"),
        ([["gaps"], 3, []], b"", "one of dense, bitmap, gaps, rows"),
        (["gaps", 201, COUNTS], b"", r"in 0\.\.200, got 201"),
        (["gaps", -1, COUNTS], b"", r"in 0\.\.200, got -1"),
        (["gaps", True, COUNTS], b"", r"in 0\.\.200, got True"),
        (["gaps", 3, COUNTS[:1]], b"", "weights must be"),
        (["gaps", 3, [["pack", 100, 0], ["pack", 5, 0]]], b"", "gaps lead to weight 302 of 200"),
        (["gaps", 3, [["pack", 0, 0], ["pack", 127, 0]]], b"", "must lie in"),
        (["gaps", 3, [["pack", 0, 0], ["pack", -128, 0]]], b"", "must lie in"),
        (["gaps", 3, [["pack", 0, 0], ["fold", ["pack", 253, 0]]]], b"", None),
        (["gaps", 3, [["pack", 0, 0], ["fold", ["pack", 254, 0]]]], b"", "must lie in"),
        (["gaps", 3, [["pack", 0, 0], ["fold"]]], b"", "folded weights must be"),
        (["gaps", 3, [["pack", 0, 0], ["fold", None]]], b"", "a record must be"),
        (["bitmap", 3, COUNTS], b"", "must mark 3 of 200 weights"),
        (["bitmap", 200, [["pack", 255, 0], ["pack", 5, 0]]], b"", None),
        (["bitmap", 199, [["pack", 255, 0], ["pack", 5, 0]]], b"", "must mark 199 of 200"),
        (["rows", 3, [["pack", 0, 0], *COUNTS]], b"", "rows must hold 3 weights, they hold 0"),
        (["rows", 100, [["pack", 10, 0], ["pack", 1, 0], COUNTS[1]]], b"", None),
        (["rows", 100, [["pack", 10, 0], ["pack", 2, 0], COUNTS[1]]], b"", "column 29 of 20"),
        (["rows", 210, [["pack", 21, 0], *COUNTS]], b"", r"in 0\.\.200"),
        (["rows", 200, [["pack", 21, 0], *COUNTS]], b"", "must lie in"),
        (["dense", 3, [["pack", 5, 0]]], b"", "3 weights are announced, 200 are there"),
        (["dense", 200, [["pack", -128, 0]]], b"", "must lie in"),
    ],
)
def test_damaged_weights_are_refused(record, data, message):
    if message is None:
        assert np.count_nonzero(read(record, data, SHAPE, np.int8)) == record[1]
        return
    with pytest.raises(ValueError, match=message):
        read(record, data, SHAPE, np.int8)
