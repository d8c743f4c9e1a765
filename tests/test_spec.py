import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlcompress.spec import PolynomialSchedule, PruneSpec, QuantSpec

schedules = st.builds(
    lambda begin, length, updates, power: PolynomialSchedule(
        begin=begin, end=min(1.0, begin + length), updates=updates, power=power
    ),
    st.floats(0.0, 0.5),
    st.floats(0.1, 0.5),
    st.integers(1, 700),
    st.sampled_from([1.0, 3.0]),
)


def test_cubic_schedule_by_hand() -> None:
    schedule = PolynomialSchedule(begin=0.2, end=0.8)
    assert schedule.sparsity_at(0.1, 0.98) == 0.0
    assert schedule.sparsity_at(0.2, 0.98) == 0.0
    assert schedule.sparsity_at(0.5, 0.98) == pytest.approx(0.98 * (1 - 0.5**3))
    assert schedule.sparsity_at(0.8, 0.98) == 0.98
    assert schedule.sparsity_at(1.2, 0.98) == 0.98


def test_initial_sparsity_and_linear_power() -> None:
    schedule = PolynomialSchedule(begin=0.0, end=1.0, power=1.0, initial=0.2)
    assert schedule.sparsity_at(0.5, 0.6) == pytest.approx(0.4)


@given(schedules, st.floats(0.0, 0.999))
def test_schedule_never_falls_and_ends_exactly(schedule: PolynomialSchedule, final: float) -> None:
    points = [schedule.sparsity_at(k / 50, final) for k in range(61)]
    assert all(a <= b for a, b in itertools.pairwise(points))
    assert points[-1] == final


@given(schedules, st.integers(1_000, 50_000), st.integers(1, 37))
def test_every_update_is_due_once_the_window_closes(
    schedule: PolynomialSchedule, total: int, n_envs: int
) -> None:
    due = [schedule.updates_due(step, total) for step in range(0, total + n_envs, n_envs)]
    assert due[0] == 0 or schedule.window(total)[0] == 0
    assert all(a <= b for a, b in itertools.pairwise(due))
    assert due[-1] == schedule.updates
    stop = schedule.window(total)[1]
    assert schedule.updates_due(stop, total) == schedule.updates
    assert schedule.progress_of(schedule.updates) == schedule.end


@given(schedules)
def test_smallest_total_is_enough_and_one_less_is_not(schedule: PolynomialSchedule) -> None:
    smallest = schedule.smallest_total()
    schedule.check_length(smallest)
    steps = range(smallest + 1)
    assert len({schedule.updates_due(step, smallest) for step in steps}) == schedule.updates + 1
    with pytest.raises(ValueError, match=f"smallest T from there on is {smallest}"):
        schedule.check_length(schedule.updates // 2)


def test_a_length_is_judged_by_its_own_window() -> None:
    """Rounding may fit a short T and not the next one."""
    schedule = PolynomialSchedule(begin=0.45, end=0.55, updates=1)
    assert schedule.smallest_total() == 1
    schedule.check_length(1)
    with pytest.raises(ValueError, match="from there on is 3"):
        schedule.check_length(2)


@pytest.mark.parametrize("begin, end", [(0.8, 0.2), (0.5, 0.5), (-0.1, 0.5), (0.2, 1.1)])
def test_windows_that_cannot_be(begin: float, end: float) -> None:
    with pytest.raises(ValueError, match="0 <= begin < end <= 1"):
        PolynomialSchedule(begin=begin, end=end)


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 2.0, float("nan")])
def test_sparsity_range(sparsity: float) -> None:
    with pytest.raises(ValueError, match=r"sparsity must be in \[0, 1\), got"):
        PruneSpec(sparsity)


@pytest.mark.parametrize(
    "field, value, words",
    [
        ("weight_bits", 9, "weight_bits must be in 2..8, got 9"),
        ("activation_bits", 1, "activation_bits must be in 2..8 or None, got 1"),
        ("conv", "per_layer", "conv must be 'per_tensor' or 'per_channel', got 'per_layer'"),
    ],
)
def test_quantisation_that_cannot_be(field: str, value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(QuantSpec(), **{field: value})
