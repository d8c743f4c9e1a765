"""The non-inferiority test: what it calls lossless, lossy and undecided, and when it would know."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rlcompress.evaluation.lossless import compare, normalised
from rlcompress.evaluation.resampling import Bootstrap

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
    assert str(found) == f"undecided ({found.runs_needed} runs each would probably decide)"


def test_equal_means_of_few_runs_are_not_lossless():
    found = compare({"a": [100.0, 100.0, 100.0]}, {"a": DENSE})
    assert found.difference == 0
    assert (found.verdict, found.interval, found.runs_needed) == ("undecided", None, 5)


def test_the_runs_that_would_decide_by_hand():
    ours, theirs = [80.0, 100.0, 120.0], [90.0, 100.0, 110.0]
    # Variances 400 and 100, as parts of the mean 100 squared; the difference 0 is 0.1 off. The
    # normal quantiles of 97.5 % and, to be right in 80 % of the cases, of 80 %; and Student's
    # correction, 1.96 squared by twice the samples.
    expected = math.ceil(((1.95996 + 0.84162) / 0.1) ** 2 * (0.04 + 0.01) + 1.95996**2 / 4)
    assert compare({"a": ours}, {"a": theirs}).runs_needed == expected == 41
    two = [dict.fromkeys("ab", side) for side in (ours, theirs)]
    assert compare(*two, margin=0.10).runs_needed == math.ceil(19.62 + 1.95996**2 / 8) == 21
    # Twins differ by 10, 0, -10 at a difference of 0: a variance of 100.
    assert compare({"a": ours}, {"a": theirs}, twins=["a"]).runs_needed == math.ceil(7.85 + 1.92)
    on_the_margin = [run - 10 for run in ours]
    assert compare({"a": on_the_margin}, {"a": theirs}).runs_needed is None
    assert compare({"a": ours[:1]}, {"a": theirs}).runs_needed is None


def test_as_many_runs_as_it_said_decide_as_often_as_it_said():
    needed = compare({"a": [80.0, 100.0, 120.0]}, {"a": [80.0, 100.0, 120.0]}).runs_needed
    generator = np.random.default_rng(3)
    how = Bootstrap(resamples=500)
    decided = 0
    for _ in range(200):
        ours, theirs = generator.normal(100, 20, (2, needed))
        decided += compare({"a": ours}, {"a": theirs}, how=how).verdict != "undecided"
    # 80 % of 200, give or take three standard errors of 2.8 %.
    assert 0.715 <= decided / 200 <= 0.885


def test_an_interval_of_few_runs_is_that_of_students_quantiles():
    """Where all dense runs agree, that of a mean: the t interval."""
    ours = 90.0 + np.random.default_rng(1).normal(0, 4, 30)
    for runs in (10, 30):
        sample = ours[:runs]
        found = compare({"a": sample}, {"a": [100.0] * runs}, twins=["a"])
        low, high = stats.t.interval(
            0.95, runs - 1, -0.01 * (100 - sample.mean()), 0.01 * stats.sem(sample)
        )
        assert found.interval.level == 0.95
        assert found.interval.high - found.interval.low == pytest.approx(high - low, rel=0.05)


def test_the_level_of_expanded_percentiles_by_hand():
    # One sample of five: Student's 2.7764 of four degrees of freedom, by the root of 5 / 4.
    assert Bootstrap().expanded([5], [3.0]).taken == pytest.approx(
        2 * stats.norm.cdf(2.77645 * math.sqrt(1.25)) - 1
    )
    # Two of five that deviate alike have eight degrees of freedom, 2.3060; if one does not deviate
    # there are four again.
    assert Bootstrap().expanded([5, 5], [1.0, 1.0]).taken == pytest.approx(
        2 * stats.norm.cdf(2.30600 * math.sqrt(1.25)) - 1
    )
    alone = Bootstrap().expanded([5], [1.0]).taken
    assert Bootstrap().expanded([5, 9], [1.0, 0.0]).taken == pytest.approx(alone)
    many = Bootstrap().expanded([100_000], [1.0])
    assert (many.level, many.taken) == (0.95, pytest.approx(0.95, abs=1e-4))
    assert Bootstrap().expanded([5], [0.0]).taken is None


def test_lossy_experiments_are_called_lossless_as_seldom_as_promised():
    """Exactly on the margin: in 2.5 % of experiments; plain percentiles of five runs say 6 %."""
    generator = np.random.default_rng(5)
    how = Bootstrap(resamples=1_000)
    wrong = 0
    for _ in range(600):
        ours, dense = generator.normal([[0.9], [1.0]], 0.1, (2, 5))
        wrong += compare({"a": ours}, {"a": dense}, how=how).verdict == "lossless"
    # 15 of 600, give or take three standard errors of 3.8.
    assert wrong / 600 <= 0.044


def test_twins_are_judged_by_what_they_differ_in():
    """Seeds of which each does as well as its twin: however far seeds lie apart."""
    dense = [40.0, 80.0, 100.0, 120.0, 160.0]
    ours = {"a": [0.97 * run for run in dense]}
    apart = compare(ours, {"a": dense})
    assert apart.verdict == "undecided"
    together = compare(ours, {"a": dense}, twins=["a"])
    assert together.verdict == "lossless"
    assert together.difference == pytest.approx(apart.difference)
    assert [together.interval.low, together.interval.high] == pytest.approx([-0.03, -0.03])
    # Seeds that did well without compression and badly with it are wider than independent runs.
    against = compare({"a": ours["a"][::-1]}, {"a": dense}, twins=["a"])
    assert against.interval.low < apart.interval.low
    # One task's runs alone may be twins.
    both = compare(ours | {"b": dense}, {"a": dense, "b": dense}, twins=["b"])
    assert both.interval.low < -0.1


def test_twins_come_in_pairs():
    with pytest.raises(ValueError, match=r"a: twins must be as many on both sides, got 1 .* 5"):
        compare({"a": [1.0]}, {"a": DENSE}, twins=["a"])


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
