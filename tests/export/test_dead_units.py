"""Removing dead units: the same bits come out, each rule does what it says, and no more."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.records import (
    BIAS_LIMIT,
    Activation,
    Add,
    Dense,
    Flatten,
    MaxPool,
    Observation,
    TensorType,
)
from rlcompress.export.dead_units import remove_dead_units
from tests.export.small_policies import (
    conv,
    dense,
    kept,
    policy_of,
    removed,
    same,
    signed,
    unsigned,
)
from tests.policies import KINDS, policies, random_policy


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 0.99, 0.999, None])
def test_outputs_keep_their_bits(kind: str, sparsity: float | None) -> None:
    for seed in range(4):
        removed(random_policy(np.random.default_rng(seed), kind, sparsity=sparsity))


@given(policies())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_outputs_keep_their_bits_everywhere(policy: CompressedPolicy) -> None:
    removed(policy)


@pytest.mark.parametrize("arithmetic", ["integer", "float"])
@pytest.mark.parametrize("sparsity", [0.98, 0.99])
def test_a_sparse_actor_loses_many_units(arithmetic: str, sparsity: float) -> None:
    rng = np.random.default_rng(1)
    integer = arithmetic == "integer"

    def random(rows: int, columns: int) -> Any:
        weight = rng.integers(-127, 128, (rows, columns))
        return np.where(rng.random((rows, columns)) < sparsity, 0, weight)

    def layer(source: int, shape: tuple[int, int], last: bool = False) -> Dense:
        output = None if last or not integer else unsigned(shape[0])
        made = dense(source, random(*shape), rng.integers(-50, 50, shape[0]), output)
        bias = made.bias if integer else made.bias.astype(np.float32)
        return replace(made, bias=bias, function="none" if last else "relu")

    ops = layer(0, (256, 11)), layer(1, (256, 256)), layer(2, (3, 256), last=True)
    policy = policy_of(*ops, observation=Observation((11,)))
    lean = removed(policy)
    hidden = [op.output.size for op in lean.linears[:2]]
    assert max(hidden) < 128
    assert kept(lean) < 0.6 * kept(policy)
    if integer:  # Whatever is left is read and varies.
        for op, reader in zip(lean.linears[:2], lean.linears[1:], strict=True):
            assert (reader.matrix != 0).any(axis=0).all()
            assert (op.matrix != 0).any(axis=1).all()


def test_a_unit_that_nobody_reads_goes_with_what_only_it_read() -> None:
    first = dense(0, np.eye(3), [0, 0, 0], unsigned(3), "relu")
    second = dense(1, [[1, 1, 0], [0, 0, 1]], [0, 0], unsigned(2), "relu")
    lean = removed(policy_of(first, second, dense(2, [[1, 0]], [5])))
    assert [op.weight.tolist() for op in lean.linears] == [
        [[1, 0, 0], [0, 1, 0]],
        [[1, 1]],
        [[1]],
    ]
    assert lean.values[1].shape == (2,)


def test_a_constant_moves_into_an_integer_bias() -> None:
    # Unit 1 is constant: rint(2.6 / 0.25) = 10; it contributes 10 * -3 and 10 * 4.
    first = dense(0, [[1, 0, 0], [0, 0, 0]], [0, 2.6], unsigned(2), "relu")
    lean = removed(policy_of(first, dense(1, [[2, -3], [5, 4]], [7, 8])))
    assert lean.linears[0].weight.tolist() == [[1, 0, 0]]
    assert lean.linears[1].weight.tolist() == [[2], [5]]
    assert lean.linears[1].bias.tolist() == [7 - 30, 8 + 40]


def test_a_bias_stays_within_its_limit() -> None:
    first = dense(0, [[1, 0, 0], [0, 0, 0]], [0, 2.6], unsigned(2), "relu")
    second = dense(1, [[2, 3], [5, 3]], [BIAS_LIMIT - 29, BIAS_LIMIT - 30])
    lean = removed(policy_of(first, second))
    assert lean.linears[1].weight.tolist() == [[2, 3], [5, 0]]
    assert lean.linears[1].bias.tolist() == [BIAS_LIMIT - 29, BIAS_LIMIT]


def test_a_relu_that_cannot_open_is_constant() -> None:
    # 255 * 2 - 511 < 0 whatever the input, 255 * 2 - 509 = 1 can open.
    first = dense(0, np.eye(3)[:2], [0, 0], unsigned(2), "relu")
    second = dense(1, [[2, -1], [2, -1]], [-511, -509], unsigned(2), "relu")
    lean = removed(policy_of(first, second, dense(2, [[1, 1]], [0])))
    assert lean.linears[1].bias.tolist() == [-509]


def test_float_layers_fold_zeros_and_whole_sums_only() -> None:
    first = dense(0, [[0, 0, 0], [0, 0, 0], [1, 2, 3]], [-1, 2, 0], None, "relu")
    second = replace(
        dense(1, [[9, 9, 9], [3, 5, 0]], [0, 0], None, "relu"),
        bias=np.array([0.5, 0.25], np.float32),
    )
    last = replace(dense(2, [[1, 1], [1, 0]], [0, 0]), bias=np.zeros(2, np.float32))
    lean = removed(policy_of(first, second, last))
    # Constant 0 is gone, constant 2 stays beside what varies, and 5 * 2 + 0.25 is a constant again.
    assert lean.linears[0].weight.tolist() == [[0, 0, 0], [1, 2, 3]]
    assert lean.linears[1].weight.tolist() == [[9, 9], [0, 0]]
    assert lean.linears[1].bias.tolist() == [0.5, 10.25]


@pytest.mark.parametrize("padding", [(0, 0), (1, 0)])
def test_a_constant_beside_padding_stays_unless_it_is_zero(padding: tuple[int, int]) -> None:
    image = Observation((4, 4, 1), True)
    first = conv(0, unsigned(4, 4, 3), np.zeros((3, 1, 1, 1)), [0, -9, 6])
    first.weight[0] = 1
    height = 4 + 2 * padding[0] - 1
    second = conv(1, unsigned(height, 4, 1), np.full((1, 2, 1, 3), 2), [0], padding)
    flatten = Flatten("flatten", (2,), unsigned(height * 4))
    lean = removed(
        policy_of(
            first, second, flatten, dense(3, np.ones((2, height * 4)), [0, 0]), observation=image
        )
    )
    units = {(0, 0): [[[[1]]]], (1, 0): [[[[1]]], [[[0]]]]}[padding]
    assert lean.linears[0].weight.tolist() == units
    assert lean.linears[1].bias.tolist() == [2 * 2 * 6 if padding == (0, 0) else 0]


def test_a_constant_passes_pool_and_flatten() -> None:
    """A pool of signed constants stays that constant, its padding being the smallest value."""
    image = Observation((2, 2, 1), True)
    first = conv(0, signed(2, 2, 2), [[[[1]]], [[[0]]]], [0, -5])
    pool = MaxPool("pool", (1,), signed(2, 2, 2), (3, 3), (1, 1), (1, 1))
    flatten = Flatten("flatten", (2,), signed(8))
    last = dense(3, [range(1, 9)], [100])
    lean = removed(policy_of(first, pool, flatten, last, observation=image))
    assert lean.linears[1].weight.tolist() == [[1, 3, 5, 7]]
    assert lean.linears[1].bias.tolist() == [100 - 5 * (2 + 4 + 6 + 8)]
    assert [value.shape for value in lean.values] == [(2, 2, 1), (2, 2, 1), (2, 2, 1), (4,), (1,)]


def residual_policy(stream: Any, branch: Any, reader: Any) -> CompressedPolicy:
    """Integer layers a -> b; a + b, tanh of it, then the reader; all with three units."""
    return policy_of(
        dense(0, stream, [0.5, 0.5, 0.5], signed(3)),
        dense(1, branch, [1, 1, 1], signed(3)),
        Add("add", (1, 2), signed(3), (0.5, 0.5)),
        Activation("tanh", (3,), TensorType((3,), "signed", 8, 1 / 128), "tanh"),
        dense(4, reader, [0]),
    )


def test_a_stream_channel_goes_only_if_every_reader_agrees() -> None:
    eye = np.eye(3)
    none_reads_2 = residual_policy(eye, [[1, 1, 0], [0, 1, 0], [0, 0, 0]], [[1, 1, 0]])
    assert [value.shape for value in removed(none_reads_2).values] == [(3,), *[(2,)] * 4, (1,)]
    branch_reads_2 = residual_policy(eye, [[1, 0, 1], [0, 1, 0], [0, 0, 0]], [[1, 1, 0]])
    assert removed(branch_reads_2).values[1].shape == (3,)
    # Unit 1 is read through channel 1 of the branch, which nothing reads further.
    circle = residual_policy(eye, [[1, 0, 0], [0, 1, 0], [0, 1, 1]], [[1, 0, 0]])
    assert removed(circle).values[1].shape == (1,)


def test_a_stream_channel_is_constant_if_every_writer_is() -> None:
    both = [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    lean = removed(residual_policy(both, both, [[1, 1, 1]]))
    assert lean.values[3].shape == (2,)
    assert lean.linears[-1].bias.tolist() != [0]
    one = removed(residual_policy(both, np.eye(3), [[1, 1, 1]]))
    # The branch reads the constant, so it is constant as well.
    assert one.values[3].shape == (2,)
    varying = removed(residual_policy(both, [[1, 0, 0], [0, 1, 0], [0, 1, 0]], [[1, 1, 1]]))
    assert varying.values[3].shape == (3,)


def test_what_is_added_to_a_stream_after_its_last_reader_goes() -> None:
    """Channel 1 is read by the first branch only; the second branch adds channel 2 to it."""
    lean = removed(
        policy_of(
            dense(0, np.eye(3), [0, 0, 0], signed(3)),
            dense(1, [[0, 3, 0], [0, 0, 0], [0, 0, 0]], [1, 1, 1], signed(3)),
            Add("first", (1, 2), signed(3), (0.5, 0.5)),
            dense(3, [[5, 0, 0], [0, 0, 4], [0, 0, 0]], [1, 1, 1], signed(3)),
            Add("second", (3, 4), signed(3), (0.5, 0.5)),
            dense(5, [[1, 0, 0]], [0]),
        )
    )
    assert [op.weight.tolist() for op in lean.linears] == [
        [[1, 0, 0], [0, 1, 0]],
        [[0, 3], [0, 0]],
        [[5, 0], [0, 0]],
        [[1, 0]],
    ]


def test_every_layer_keeps_a_unit() -> None:
    nothing = np.zeros((4, 3))
    policy = policy_of(
        dense(0, np.ones((4, 3)), [1, 1, 1, 1], unsigned(4), "relu"),
        dense(1, nothing.T, [1, 1, 1], unsigned(3), "relu"),
        dense(2, np.ones((2, 3)), [0, 0]),
    )
    lean = removed(policy)
    assert [op.weight.shape for op in lean.linears] == [(1, 3), (1, 1), (2, 1)]
    assert kept(lean) == 0
    assert lean.linears[-1].bias.tolist() == [3, 3]


def test_observation_and_outputs_are_never_cut() -> None:
    policy = policy_of(dense(0, [[0, 0, 0], [0, 0, 0]], [1, 2]))
    assert same(removed(policy), remove_dead_units(policy))
    assert removed(policy).linears[0].weight.shape == (2, 3)


def test_multipliers_per_channel_are_cut_along() -> None:
    first = dense(0, np.eye(3), [0, 0, 0], unsigned(3), "relu")
    first = replace(first, multiplier=np.array([1, 2, 3], np.float32))
    lean = removed(policy_of(first, dense(1, [[1, 0, 1]], [0])))
    assert lean.linears[0].multiplier.tolist() == [1, 3]


def test_meta_keeps_the_first_count() -> None:
    policy = replace(policy_of(dense(0, np.eye(3), [0, 0, 0])), meta={"weights_kept": 4, "x": 1})
    meta = remove_dead_units(policy).meta
    assert dict(meta) == {"weights_kept": 4, "x": 1, "weights_kept_after_removal": 3}
