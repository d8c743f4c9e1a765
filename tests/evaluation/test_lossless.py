"""The non-inferiority test: what it calls lossless, lossy and undecided, and when it would know."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rlcompress.evaluation.lossless import compare, normalised, runs_needed

DENSE = [98.0, 99.0, 100.0, 101.0, 102.0]


def test_a_small_difference_of_steady_runs_is_lossless():
    found = compare({"a": [96.0, 97.0, 98.0, 99.0, 100.0]}, {"a": DENSE})
    assert found.difference == pytest.approx(-0.02)
    assert (found.verdict, found.margin, found.runs) == ("lossless", 0.10, (5, 5))
    assert -0.10 < found.interval.low < -0.02 < found.interval.high
    assert found.runs_needed is None
    assert str(found) == "lossless"


def test_a_large_difference_is_lossy():
    found = compare({"a": [50.0, 51.0, 52.0, 53.0, 54.0]}, {"a": DENSE})
    assert found.verdict == "lossy"
    assert found.interval.high < -0.10


def test_better_is_lossless_where_returns_are_costs():
    found = compare({"a": [-90.0, -91.0, -92.0, -93.0, -94.0]}, {"a": [-x for x in DENSE]})
    assert found.difference == pytest.approx(0.08)
    assert found.verdict == "lossless"
    worse = compare({"a": [-140.0, -141.0, -142.0, -143.0, -144.0]}, {"a": [-x for x in DENSE]})
    assert worse.verdict == "lossy"


def test_runs_that_differ_much_decide_nothing():
    found = compare({"a": [60.0, 80.0, 100.0, 120.0, 140.0]}, {"a": [70.0, 80.0, 100.0, 110, 140]})
    assert found.verdict == "undecided"
    assert found.interval.low < -0.10 < found.interval.high
    assert found.runs_needed > 5
    assert str(found) == f"undecided ({found.runs_needed} runs each would decide)"


def test_equal_means_of_few_runs_are_not_lossless():
    found = compare({"a": [100.0, 100.0, 100.0]}, {"a": DENSE})
    assert found.difference == 0
    assert (found.verdict, found.interval, found.runs_needed) == ("undecided", None, 5)


def test_the_runs_that_would_decide_by_hand():
    ours, theirs = np.array([80.0, 100.0, 120.0]), np.array([90.0, 100.0, 110.0])
    # Variances 400 and 100, as parts of the mean 100 squared; the difference 0 is 0.1 off.
    z = stats.norm.ppf(0.975)
    expected = math.ceil((z / 0.1) ** 2 * (0.04 + 0.01))
    assert runs_needed([ours], [theirs], margin=0.10) == expected == 20
    assert runs_needed([ours] * 2, [theirs] * 2, margin=0.10) == 10
    assert runs_needed([ours - 10], [theirs], margin=0.10) is None
    assert runs_needed([ours[:1]], [theirs], margin=0.10) is None


def test_as_many_runs_as_it_said_do_decide():
    generator = np.random.default_rng(3)
    few = generator.normal(100, 20, (2, 6))
    first = compare({"a": few[0]}, {"a": few[1]})
    assert first.verdict == "undecided"
    many = [np.resize(side, 4 * first.runs_needed) for side in few]
    assert compare({"a": many[0]}, {"a": many[1]}).verdict != "undecided"


def test_several_environments_are_held_to_half_the_margin():
    ours = {env: [92.0, 93.0, 94.0, 95.0, 96.0] for env in "ab"}
    theirs = dict.fromkeys("ab", DENSE)
    assert compare({"a": ours["a"]}, {"a": DENSE}).verdict == "lossless"
    pooled = compare(ours, theirs)
    assert (pooled.margin, pooled.runs) == (0.05, (10, 10))
    assert pooled.difference == pytest.approx(-0.06)
    assert pooled.verdict != "lossless"
    assert compare(ours, theirs, margin=0.10).verdict == "lossless"


def test_only_environments_in_both_count():
    found = compare({"a": DENSE, "b": [0.0] * 5}, {"a": DENSE, "c": DENSE})
    assert (found.difference, found.margin) == (0, 0.10)
    with pytest.raises(ValueError, match="no task in common"):
        compare({"a": DENSE}, {"b": DENSE})


def test_no_difference_is_a_part_of_a_dense_mean_of_zero():
    with pytest.raises(ValueError, match="dense means not 0"):
        compare({"a": DENSE}, {"a": [-1.0, 1.0, 0.0, 0.0, 0.0]})


def test_normalised_scores_of_environments_with_a_dense_mean():
    found = normalised({"a": [50.0, 150.0], "b": [1.0]}, {"a": 100.0})
    assert list(found) == ["a"]
    assert found["a"] == pytest.approx([0.5, 1.5])
