"""Allocations sum exactly, never bring weights back, and give the published numbers."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from rlcompress.pruning.allocation import (
    ALLOCATIONS,
    DEAD,
    keep_top,
    kept_total,
)

HOPPER = [(256, 11), (256, 256), (3, 256)]
HUMANOID = [(256, 376), (256, 256), (17, 256)]
NATURE = [(32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3), (512, 3136), (6, 512)]

# network, sparsity, density and weights kept per layer
ERDOS_RENYI = [
    (HOPPER, 0.5, [1, 0.4727, 1], [2816, 30976, 768]),
    (HOPPER, 0.9, [0.7478, 0.0616, 1], [2106, 4038, 768]),
    (HOPPER, 0.98, [0.1263, 0.0104, 0.4491], [355, 682, 345]),
    (HOPPER, 0.99, [0.0631, 0.0052, 0.2246], [178, 341, 172]),
    (HUMANOID, 0.5, [0.4518, 0.5376, 1], [43489, 35231, 4352]),
    (HUMANOID, 0.98, [0.0154, 0.0183, 0.1471], [1482, 1201, 640]),
    (NATURE, 0.5, [1, 0.6795, 0.7783, 0.4864, 1], [8192, 22266, 28690, 781044, 3072]),
    (NATURE, 0.9, [0.2669, 0.1334, 0.1528, 0.0955, 1], [2187, 4373, 5634, 153387, 3072]),
    (NATURE, 0.98, [0.0494, 0.0247, 0.0283, 0.0177, 1], [405, 810, 1043, 28401, 3072]),
]
PAPER_VARIANT = [
    (HOPPER, 0.9, [0.1729, 0.0934, 0.3944]),
    (HOPPER, 0.99, [0.0902, 0.0028, 0.3339]),
]


def scores_of(shapes):
    return {f"layer{i}": torch.ones(shape) for i, shape in enumerate(shapes)}


def allocate(name, shapes, sparsity):
    sizes = [int(np.prod(shape)) for shape in shapes]
    counts = ALLOCATIONS[name](scores_of(shapes), kept_total(sparsity, sum(sizes)))
    return list(counts.values()), sizes


@pytest.mark.parametrize(("shapes", "sparsity", "densities", "kept"), ERDOS_RENYI)
def test_erdos_renyi_gives_the_published_counts(shapes, sparsity, densities, kept):
    counts, sizes = allocate("erdos_renyi", shapes, sparsity)
    assert counts == kept
    for count, size, density in zip(counts, sizes, densities, strict=True):
        assert count / size == pytest.approx(density, abs=5e-5 + 1 / size)


@pytest.mark.parametrize(("shapes", "sparsity", "densities"), PAPER_VARIANT)
def test_the_papers_variant_gives_the_published_densities(shapes, sparsity, densities):
    counts, sizes = allocate("erdos_renyi_paper", shapes, sparsity)
    assert sum(counts) == kept_total(sparsity, sum(sizes))
    for count, size, density in zip(counts, sizes, densities, strict=True):
        assert count / size == pytest.approx(density, abs=5e-5 + 1 / size)


def test_the_papers_variant_is_refused_where_a_layer_would_lose_more_than_all():
    counts, _ = allocate("erdos_renyi_paper", HOPPER, 0.9926)
    assert min(counts) > 0
    with pytest.raises(
        ValueError, match=r"'layer1' would need a sparsity above 1.*largest is 0\.99"
    ):
        allocate("erdos_renyi_paper", HOPPER, 0.993)


def test_the_papers_variant_keeps_a_layer_dense_whose_density_would_exceed_one():
    counts, _ = allocate("erdos_renyi_paper", [(256, 17), (256, 256), (1, 256)], 0.9)
    sizes = [256 * 17, 256 * 256, 256]
    assert counts[2] == 256
    losses = [sizes[0] - 273, sizes[1] - 512]
    factor = (sum(sizes) - sum(counts)) / sum(losses)
    assert counts[0] == pytest.approx(sizes[0] - factor * losses[0], abs=1)


def test_the_papers_variant_refuses_to_prune_layers_it_can_only_keep_dense():
    with pytest.raises(ValueError, match=r"erdos_renyi_paper"):
        allocate("erdos_renyi_paper", [(1, 256), (1, 8)], 0.5)
    assert allocate("erdos_renyi_paper", [(1, 256), (1, 8)], 0.0)[0] == [256, 8]


def test_uniform_breaks_ties_by_index():
    counts = ALLOCATIONS["uniform"](scores_of([(3,), (3,), (3,)]), 4)
    assert list(counts.values()) == [2, 1, 1]
    assert allocate("uniform", HOPPER, 0.9)[0] == [282, 6553, 77]


def test_global_takes_the_highest_scores_wherever_they_are():
    scores = {"a": torch.tensor([[3.0, 1.0]]), "b": torch.tensor([2.0, 2.0, 0.5])}
    assert ALLOCATIONS["global"](scores, 2) == {"a": 1, "b": 1}
    assert ALLOCATIONS["global"](scores, 3) == {"a": 1, "b": 2}
    assert ALLOCATIONS["global"](scores, 0) == {"a": 0, "b": 0}


@pytest.mark.parametrize("name", ["global", "uniform", "erdos_renyi", "erdos_renyi_paper"])
def test_no_allocation_brings_pruned_weights_back(name):
    scores = {"a": torch.tensor([[1.0, DEAD], [DEAD, DEAD]]), "b": torch.ones(2, 4)}
    assert ALLOCATIONS[name](scores, 9) == {"a": 1, "b": 8}
    with pytest.raises(ValueError, match=r"weights to keep must be in 0\.\.9, got 10"):
        ALLOCATIONS[name](scores, 10)


def test_layers_without_a_claim_get_what_the_others_cannot_take():
    # All that erdos_renyi_paper would give to b is pruned already; a has to take more than its 0.
    scores = {"a": torch.ones(2, 4), "b": torch.full((2, 2), DEAD)}
    assert ALLOCATIONS["erdos_renyi_paper"](scores, 6) == {"a": 6, "b": 0}


def test_kept_total_rounds_the_exact_value_not_its_float_error():
    assert kept_total(0.9, 69120) == 6912
    assert kept_total(0.98, 69120) == 1382
    assert kept_total(0.0, 7) == 7
    assert kept_total(0.5, 5) == 2


def test_keep_top_breaks_ties_by_index():
    score = torch.tensor([[1.0, 2.0, 1.0], [2.0, 1.0, 2.0]])
    assert keep_top(score, 4).int().tolist() == [[1, 1, 0], [1, 0, 1]]
    assert keep_top(torch.zeros(2, 2), 3).int().tolist() == [[1, 1], [1, 0]]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.data())
def test_keep_top_is_a_stable_sort(values, data):
    kept = data.draw(st.integers(0, len(values)))
    expected = np.zeros(len(values), dtype=bool)
    expected[np.argsort(-np.array(values), kind="stable")[:kept]] = True
    assert keep_top(torch.tensor(values, dtype=torch.float32), kept).tolist() == expected.tolist()


LAYER = st.lists(st.integers(1, 6), min_size=2, max_size=4).map(tuple)


@given(
    st.sampled_from(sorted(ALLOCATIONS)),
    st.lists(LAYER, min_size=1, max_size=5),
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12),
    st.integers(0, 2**32 - 1),
)
def test_masks_only_lose_entries_and_counts_sum_exactly(name, shapes, sparsities, seed):
    generator = torch.Generator().manual_seed(seed)
    masks = [torch.ones(shape, dtype=torch.bool) for shape in shapes]
    total = sum(mask.numel() for mask in masks)
    for sparsity in sorted(sparsities):
        # Few distinct values, so that ties are the rule.
        scores = {
            f"layer{i}": torch.randint(3, mask.shape, generator=generator)
            .float()
            .masked_fill(~mask, DEAD)
            for i, mask in enumerate(masks)
        }
        kept = kept_total(sparsity, total)
        try:
            counts = ALLOCATIONS[name](scores, kept)
        except ValueError:
            assume(name != "erdos_renyi_paper")
            raise
        assert list(counts) == list(scores)
        assert sum(counts.values()) == kept
        new = [keep_top(scores[layer], count) for layer, count in counts.items()]
        for mask, old, count in zip(new, masks, counts.values(), strict=True):
            assert int(mask.sum()) == count
            assert not (mask & ~old).any()
        masks = new
