import math

import pytest

from rlcompress.compress.confirm import first_that_holds
from rlcompress.compress.course import Course
from rlcompress.compress.matching import Likeness
from rlcompress.compress.outcome import (
    LADDER,
    Outcome,
    Paired,
    Wish,
    base_of,
    chosen,
    next_course,
    sparsest_first,
)


def outcome(number, course, loss, agreement=1.0):
    check = Paired((100.0, 100.0), (100.0 * (1 - loss), 100.0 * (1 - loss)))
    likeness = Likeness(1 - agreement, agreement, agreement)
    return Outcome(number, course, check, likeness, True, 10, 100, 1.0, {"number": number})


def wish(sparsity, lengths=(10, 40)):
    return Wish(sparsity, 0.02, lengths, True, 1e-3, agreement=0.95)


def play(asked, loss_at):
    """All attempts of a run in which a course of these steps loses ``loss_at(sparsity, steps)``."""
    done = []
    while (course := next_course(asked, done)) is not None:
        done.append(outcome(len(done), course, loss_at(course.final, course.steps)))
        assert len(done) < 50
    return done


def test_paired_by_hand():
    found = Paired((10.0, 20.0, 30.0), (9.0, 20.0, 28.0))
    assert found.difference == pytest.approx(-1.0)
    assert found.loss == pytest.approx(0.05)
    # t(0.975, 2) = 4.3027; the differences -1, 0, -2 have deviation 1.
    assert found.half_width == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)


def test_returns_below_zero_lose_downwards():
    assert Paired((-100.0,), (-110.0,)).loss == pytest.approx(0.1)
    assert Paired((-100.0,), (-90.0,)).loss == pytest.approx(-0.1)


def test_a_short_attempt_that_convinces_is_the_last():
    done = play(wish(0.9), lambda sparsity, steps: 0.0)
    assert [found.course.steps for found in done] == [10]


def test_a_longer_attempt_follows_one_that_does_not():
    done = play(wish(0.9), lambda sparsity, steps: 0.015 if steps == 10 else 0.0)
    assert [found.course.steps for found in done] == [10, 40]
    assert chosen(wish(0.9), done).number == 1


def test_actions_that_differ_ask_for_a_longer_attempt():
    asked = wish(0.9)
    first = outcome(0, asked.course(0.9, 10), 0.0, agreement=0.9)
    assert next_course(asked, [first]) == asked.course(0.9, 40)


def test_where_nothing_convinces_the_one_that_lost_less_is_kept():
    asked = wish(0.9)
    courses = [asked.course(0.9, 10), asked.course(0.9, 40)]
    worse = [outcome(0, courses[0], 0.1), outcome(1, courses[1], 0.5)]
    better = [outcome(0, courses[0], 0.5), outcome(1, courses[1], 0.1)]
    assert chosen(asked, worse).number == 0
    assert chosen(asked, better).number == 1


@pytest.mark.parametrize("limit", [0.3, 0.55, 0.75, 0.93, 0.96, 0.995])
def test_a_search_finds_what_holds(limit):
    asked = wish(None)
    done = play(asked, lambda sparsity, steps: 0.0 if sparsity <= limit else 0.5)
    held = [level for level in LADDER if level <= limit]
    if not held:
        assert {found.sparsity for found in done} == {LADDER[0]}
        return
    best = chosen(asked, done)
    assert held[-1] <= best.sparsity <= limit
    assert best.within(0.02)
    lost = [found for found in done if found.sparsity > best.sparsity]
    if held[-1] != LADDER[-1]:
        # What lies just above was tried at every length before it was given up.
        assert sorted({found.course.steps for found in lost}) == [10, 40]


def test_a_search_goes_on_from_the_sparsest_that_held():
    asked = wish(None)
    done = play(asked, lambda sparsity, steps: 0.0 if sparsity <= 0.8 else 0.5)
    for number, found in enumerate(done):
        before = base_of(asked, done[:number])
        assert found.course.initial == (0.0 if before is None else before.sparsity)
        assert found.course.initial < found.course.final
    assert any(0.8 < found.sparsity < 0.9 for found in done)


def test_a_fixed_sparsity_starts_from_the_teacher():
    asked = wish(0.9)
    assert base_of(asked, [outcome(0, Course(10, 0.9), 0.5)]) is None


def test_no_environment_no_check():
    found = Outcome(0, Course(10, 0.9), None, Likeness(0.1), False, 1, 1, 1.0)
    assert found.within(0.0)
    assert "return" not in str(found)
    assert "action error 0.1" in str(found)


def test_a_search_ends_with_the_sparsest_that_holds_in_more_episodes():
    done = play(wish(None), lambda sparsity, steps: 0.0 if sparsity <= 0.95 else 0.5)
    promising = sparsest_first(wish(None), done)
    assert promising[0].sparsity >= 0.95 and promising[-1].sparsity == LADDER[0]
    asked = []

    def again(losses):
        asked.clear()

        def one(found):
            asked.append(found.sparsity)
            return Paired((100.0,), (100.0 * (1 - losses(found.sparsity)),))

        return first_that_holds(promising, 0.02, one)

    assert again(lambda sparsity: 0.01) is promising[0] and len(asked) == 1
    lucky = again(lambda sparsity: 0.03 if sparsity > 0.8 else 0.0)
    assert lucky.sparsity == 0.8 and asked == [f.sparsity for f in promising if f.sparsity >= 0.8]
    assert again(lambda sparsity: sparsity) is promising[-1] and len(asked) == len(promising)
