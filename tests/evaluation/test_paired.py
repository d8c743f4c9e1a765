import numpy as np
import pytest

from rlcompress.evaluation.paired import compare_pairs, sign_flips
from rlcompress.evaluation.resampling import ENOUGH_RUNS


def pairs(differences, seeds=ENOUGH_RUNS, sparsities=1, deviation=0.02):
    generator = np.random.default_rng(0)
    return {
        env: {
            seed: mean + deviation * generator.standard_normal(sparsities) for seed in range(seeds)
        }
        for env, mean in differences.items()
    }


def test_better_and_worse_are_told():
    found = compare_pairs(pairs({"a": 0.1, "b": 0.08}))
    assert found.verdict == "better"
    assert found.seeds == (5, 5)
    assert 0 < found.interval.low < found.difference < found.interval.high
    assert found.p <= 0.05
    assert found.seeds_needed is None
    assert compare_pairs(pairs({"a": -0.1, "b": -0.08})).verdict == "worse"


def test_what_pulls_apart_decides_nothing():
    found = compare_pairs(pairs({"a": 0.03, "b": 0.01}, deviation=0.3))
    assert found.verdict == "undecided"
    assert found.seeds_needed > 5
    assert "undecided" in str(found) and "seeds each" in str(found)


def test_few_seeds_decide_nothing_however_many_pairs():
    """Pairs of one seed share their beginning: twenty sparsities are not twenty runs."""
    found = compare_pairs(pairs({"a": 0.1}, seeds=ENOUGH_RUNS - 1, sparsities=20))
    assert found.pairs == 80
    assert found.interval is None
    assert found.verdict == "undecided"
    assert found.seeds_needed >= ENOUGH_RUNS


def test_sign_flips_by_hand():
    # Of the eight signs of (1, 2, 4) two give a sum of at least 7 in size.
    assert sign_flips([np.array([1.0, 2.0, 4.0])]) == 2 / 8
    # Of (1, 1, -1): the sum is 1; all but +++ and --- are no larger, and all are as large.
    assert sign_flips([np.array([1.0, 1.0, -1.0])]) == 1.0
    many = np.full(40, 0.1)
    assert sign_flips([many]) == pytest.approx(1 / 10_001)


def test_an_environment_counts_once_however_many_seeds():
    found = compare_pairs({"a": dict.fromkeys(range(10), np.ones(1)), "b": {0: -np.ones(1)}})
    assert found.difference == 0


@pytest.mark.parametrize("bad", [{}, {"a": {}}, {"a": {0: np.array([np.nan])}}])
def test_nothing_and_no_numbers_are_refused(bad):
    with pytest.raises(ValueError, match=r"no pair|finite"):
        compare_pairs(bad)


@pytest.mark.parametrize("environments", [1, 2])
def test_as_many_seeds_as_it_said_can_decide(environments):
    """However clear: five seeds of one environment leave p at 2 / 32."""
    few = {str(env): dict.fromkeys(range(3), np.array([0.5])) for env in range(environments)}
    for env in few:
        few[env][0] = np.array([0.51])
    needed = compare_pairs(few).seeds_needed
    assert needed == {1: 6, 2: 5}[environments]
    enough = {env: {n: np.array([0.5 + 0.01 * n]) for n in range(needed)} for env in few}
    assert compare_pairs(enough).verdict == "better"
