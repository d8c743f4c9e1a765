import pytest

from rlcompress.compress.course import ROUNDS, Course


def test_the_cubic_schedule_ends_exactly():
    course = Course(steps=1000, final=0.95)
    assert course.sparsity_after(course.updates_due(0)) == 0.0
    assert course.sparsity_after(course.updates_due(600)) == 0.95
    middle = course.sparsity_after(course.updates_due(300))
    assert middle == pytest.approx(0.95 * (1 - 0.5**3), abs=1e-6)


def test_a_course_goes_on_from_a_sparsity():
    course = Course(steps=1000, final=0.9, initial=0.8)
    assert course.sparsity_after(0) == 0.8
    found = [course.sparsity_after(course.updates_due(step)) for step in range(1000)]
    assert found == sorted(found)
    assert found[-1] == 0.9


def test_phases_and_rates():
    course = Course(steps=100, final=0.5, learning_rate=1.0)
    assert [course.phase(step) for step in (0, 59, 60, 79, 80, 99)] == [
        "pruning",
        "pruning",
        "pruned",
        "pruned",
        "quantised",
        "quantised",
    ]
    assert course.rate(59) == 1.0
    rates = [course.rate(step) for step in range(60, 100)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.01
    assert Course(steps=100, final=0.5, quantise=False).quantise_at is None


@pytest.mark.parametrize("steps", [1, 3, 100, 4000])
def test_every_round_comes(steps):
    course = Course(steps=steps, final=0.9)
    due = [course.rounds_due(step) for step in range(steps)]
    assert due[0] == 1
    assert due == sorted(due)
    assert due[-1] <= ROUNDS
    assert steps < 100 or due[-1] == ROUNDS
