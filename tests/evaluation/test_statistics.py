"""Point estimates against values computed by hand, intervals against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlcompress.evaluation import statistics
from rlcompress.evaluation.resampling import Bootstrap
from rlcompress.evaluation.statistics import (
    estimate,
    improvement,
    iqm,
    mean,
    median,
    normalise,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    profile_bounds,
)

TWO_TASKS = {"a": [0.0, 1.0, 2.0, 9.0], "b": [0.5, 0.5, 1.5, 1.5]}


def test_estimates_by_hand():
    # Of the eight runs sorted, 0 .5 .5 1 1.5 1.5 2 9, the middle four are .5 1 1.5 1.5.
    assert iqm(TWO_TASKS) == pytest.approx(4.5 / 4)
    assert mean(TWO_TASKS) == pytest.approx((3 + 1) / 2)
    assert median(TWO_TASKS) == pytest.approx(2)
    # Shortfalls below 1: 1, 0, 0, 0 and .5, .5, 0, 0.
    assert optimality_gap(TWO_TASKS) == pytest.approx(2 / 8)
    assert median({"a": [0.0, 1.0, 2.0, 9.0]}) == pytest.approx(1.5)


def test_tasks_may_have_different_numbers_of_runs():
    scores = {"a": [1.0], "b": [2.0, 4.0]}
    assert mean(scores) == pytest.approx(2)
    assert iqm(scores) == pytest.approx(7 / 3)
    assert optimality_gap(scores) == pytest.approx(0)


def test_probability_of_improvement_by_hand():
    # Pairs of a: (1,0) (1,1) (3,0) (3,1) -> 1, 1/2, 1, 1; of b: all lost.
    ours, theirs = {"a": [1.0, 3.0], "b": [0.0]}, {"a": [0.0, 1.0], "b": [5.0, 6.0]}
    assert probability_of_improvement(ours, theirs) == pytest.approx((3.5 / 4 + 0) / 2)
    with pytest.raises(ValueError, match="no task in common"):
        probability_of_improvement({"a": [1.0]}, {"b": [1.0]})


def test_the_interval_of_an_improvement_is_that_of_a_bootstrap_written_out():
    ours, theirs = np.array([1.0, 2, 3, 4, 5, 6]), np.array([0.0, 2, 2, 5, 7])
    generator = np.random.default_rng(5)
    one = ours[generator.integers(0, 6, (20_000, 6))][:, :, None]
    other = theirs[generator.integers(0, 5, (20_000, 5))][:, None, :]
    drawn = ((one > other) + 0.5 * (one == other)).mean(axis=(1, 2))
    found = improvement({"a": ours}, {"a": theirs}, Bootstrap(resamples=20_000))
    assert found.value == probability_of_improvement({"a": ours}, {"a": theirs})
    assert found.runs == 6
    expected = np.percentile(drawn, [2.5, 97.5])
    assert [found.interval.low, found.interval.high] == pytest.approx(expected, abs=0.02)
    assert improvement({"a": ours}, {"a": theirs[:4]}).interval is None


def test_the_bounds_of_a_profile_are_those_of_its_fractions():
    runs = {"a": [0.2, 0.4, 0.6, 0.8, 1.0], "b": [0.1, 0.9, 1.1, 1.2, 1.3]}
    low, high = profile_bounds(runs, [0.0, 0.7, 2.0])
    # All runs and none are certain; between, of ten runs six.
    assert (low[[0, 2]], high[[0, 2]]) == (pytest.approx([1, 0]), pytest.approx([1, 0]))
    above = {task: [float(run > 0.7) for run in scores] for task, scores in runs.items()}
    expected = estimate(above, "mean").interval
    assert (low[1], high[1]) == pytest.approx((expected.low, expected.high))
    assert profile_bounds({"a": [1.0] * 4}, [0.5]) is None


def test_a_profile_counts_runs_strictly_above():
    found = performance_profile(TWO_TASKS, [-1.0, 0.0, 0.5, 1.5, 9.0])
    assert found == pytest.approx([1, 7 / 8, 5 / 8, 2 / 8, 0])
    assert performance_profile(TWO_TASKS, [1.5, 0.5, 0.5]) == pytest.approx([2 / 8, 5 / 8, 5 / 8])


@pytest.mark.parametrize(
    ("dense", "score", "expected"),
    [(200.0, 150.0, 0.75), (200.0, 200.0, 1.0), (-150.0, -300.0, 0.0), (-100.0, -50.0, 1.5)],
)
def test_normalised_scores_say_how_good_where_returns_are_costs_too(dense, score, expected):
    assert normalise([score], dense) == pytest.approx([expected])


@pytest.mark.parametrize("dense", [0.0, float("nan"), float("inf")])
def test_nothing_is_a_part_of_nothing(dense):
    with pytest.raises(ValueError, match="dense mean must be finite and not 0"):
        normalise([1.0], dense)


@pytest.mark.parametrize("scores", [{}, {"a": []}, {"a": [float("nan"), 1.0]}, {"a": [[1.0]]}])
def test_what_cannot_be_estimated_is_an_error(scores):
    with pytest.raises(ValueError, match="score"):
        estimate(scores)


def test_fewer_than_five_runs_have_no_interval():
    assert estimate({"a": [1.0, 2.0, 3.0, 4.0]}).interval is None
    assert estimate({"a": [1.0] * 4, "b": [1.0, 2.0, 3.0, 4.0, 5.0]}).interval is None
    assert estimate({"a": [1.0, 2.0, 3.0, 4.0, 5.0]}).interval is not None


@pytest.mark.parametrize("name", list(statistics.AGGREGATES))
def test_the_same_seed_gives_the_same_interval(name):
    scores = {"a": [0.1, 0.5, 0.6, 0.9, 1.3], "b": [0.3, 0.8, 1.0, 1.1, 1.2]}
    first = estimate(scores, name)
    assert first == estimate(scores, name)
    few = Bootstrap(resamples=50)
    assert estimate(scores, name, few) != estimate(scores, name, Bootstrap(resamples=50, seed=1))
    assert first.interval.low <= first.value <= first.interval.high


def test_runs_are_resampled_within_their_task():
    # Between tasks nothing varies, within them nothing does: a pooled bootstrap would be wide.
    found = estimate({"a": [0.0] * 5, "b": [10.0] * 5}, "mean")
    assert (found.interval.low, found.interval.high) == (5.0, 5.0)


def test_an_interval_is_that_of_a_bootstrap_written_out():
    sample = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0])
    generator = np.random.default_rng(7)
    drawn = sample[generator.integers(0, 7, (20_000, 7))].mean(axis=1)
    found = estimate({"a": sample}, "mean", Bootstrap(resamples=20_000))
    expected = np.percentile(drawn, [2.5, 97.5])
    assert [found.interval.low, found.interval.high] == pytest.approx(expected, abs=0.06)


def test_a_higher_level_is_a_wider_interval():
    scores = {"a": [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0]}
    narrow = estimate(scores, how=Bootstrap(level=0.5)).interval
    wide = estimate(scores, how=Bootstrap(level=0.99)).interval
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("wrong", [{"level": 1.0}, {"level": 0.0}, {"resamples": 0}])
def test_a_bootstrap_that_cannot_be(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Bootstrap(**wrong)


@given(
    st.lists(st.lists(st.floats(-5, 5), min_size=1, max_size=9), min_size=1, max_size=4),
    st.floats(-3, 3),
)
def test_properties_of_estimates(samples, shift):
    scores = {str(i): runs for i, runs in enumerate(samples)}
    moved = {task: [run + shift for run in runs] for task, runs in scores.items()}
    low = min(min(runs) for runs in samples)
    high = max(max(runs) for runs in samples)
    for statistic in (iqm, mean, median):
        assert low - 1e-9 <= statistic(scores) <= high + 1e-9
        assert statistic(moved) == pytest.approx(statistic(scores) + shift, abs=1e-9)
    assert probability_of_improvement(scores, scores) == pytest.approx(0.5)
    assert optimality_gap(scores) >= -1e-12


def test_estimates_are_those_of_rliable():
    """Six runs of four tasks each; the numbers are what rliable's metrics give for them."""
    generator = np.random.default_rng(0)
    x, y = generator.normal(1, 0.3, (6, 4)), generator.normal(0.9, 0.3, (6, 4))
    ours = {str(i): x[:, i] for i in range(4)}
    theirs = {str(i): y[:, i] for i in range(4)}
    assert iqm(ours) == pytest.approx(0.9621531819375843)
    assert mean(ours) == pytest.approx(0.9657584731954689)
    assert median(ours) == pytest.approx(0.990427837987266)
    assert optimality_gap(ours) == pytest.approx(0.1179561827753478)
    assert probability_of_improvement(ours, theirs) == pytest.approx(0.5069444444444444)
