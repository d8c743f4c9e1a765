"""What passes the correctness gate and what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rlcompress.artifact import Action, Golden
from rlcompress.probe.gate import WrongResult, batches, check
from rlcompress.probe.registry import Backend, Request, Runner
from rlcompress.probe.subject import Subject
from tests.probe.subjects import subject_of


def subject_with(action: Action, outputs: Any, actions: Any) -> Subject:
    subject = subject_of("mlp")
    observations = np.arange(len(outputs), dtype=np.float32)[:, None]
    golden = Golden(observations, np.float32(outputs), np.asarray(actions))
    policy = replace(subject.policy, action=action, golden=golden)
    return replace(subject, policy=policy)


def gate(subject: Subject, given: Any, tolerance: float, batch: int = 1) -> float:
    """Run the gate on a backend that gives action k for observation k."""
    table = np.asarray(given)

    def call(observations: Any) -> Any:
        return table[np.asarray(observations).astype(int).reshape(-1)]

    def load(subject: Subject, request: Request) -> Runner:
        return Runner(call)

    backend = Backend("table", load, "actor", "policy", tolerance)
    return check(Runner(call), backend, subject, Request(batch))


LOW, HIGH = np.float32([-1, 0]), np.float32([1, 4])
BOX = Action("clip", (2,), LOW, HIGH)
EXPECTED = np.float32([[0, 1], [1, 2], [-1, 3]])


def test_error_is_relative_to_the_widest_range() -> None:
    subject = subject_with(BOX, EXPECTED, EXPECTED)
    assert gate(subject, EXPECTED, 0.0) == 0.0
    given = EXPECTED.copy()
    given[2, 1] += 0.2
    assert gate(subject, given, 0.06) == pytest.approx(0.05)
    with pytest.raises(WrongResult, match=r"off by 0\.05 of their range, allowed is 0\.04"):
        gate(subject, given, 0.04)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_wrong(bad: float) -> None:
    given = EXPECTED.copy()
    given[0, 0] = bad
    with pytest.raises(WrongResult):
        gate(subject_with(BOX, EXPECTED, EXPECTED), given, 1.0)


def test_unbounded_actions_are_judged_by_those_taken() -> None:
    action = Action("clip", (2,), np.float32([-np.inf] * 2), np.float32([np.inf] * 2))
    subject = subject_with(action, EXPECTED, EXPECTED)
    given = EXPECTED + np.float32(0.4)
    assert gate(subject, given, 0.2) == pytest.approx(0.1)  # of 4, from -1 to 3


VALUES = [[0.0, 1.0, 0.9], [4.0, 0.0, 2.0]]


def test_discrete_actions_are_judged_by_their_value() -> None:
    subject = subject_with(Action("argmax", start=5), VALUES, np.array([6, 5]))
    assert gate(subject, [6, 5], 0.0) == 0.0
    assert gate(subject, [7, 5], 0.03) == pytest.approx(0.025)  # 0.1 of a range of 4
    with pytest.raises(WrongResult):
        gate(subject, [6, 6], 0.5)
    with pytest.raises(WrongResult, match="inf"):
        gate(subject, [1, 5], 0.5)  # That is action -4.


def test_quantiles_are_summed() -> None:
    action = Action("argmax", quantiles=2)
    subject = subject_with(action, [[0.0, 3.0, 2.0, 0.0]], np.array([1]))
    assert gate(subject, [1], 0.0) == 0.0
    assert gate(subject, [0], 1.0) == pytest.approx(1.0)  # 2 instead of 3, of a range of 1


def test_every_row_is_checked_in_batches() -> None:
    subject = subject_with(BOX, EXPECTED, EXPECTED)
    given = EXPECTED.copy()
    given[2] += 1
    assert gate(subject, EXPECTED, 0.0, batch=2) == 0.0
    with pytest.raises(WrongResult):
        gate(subject, given, 0.1, batch=2)
    assert [list(rows) for rows in batches(3, 2)] == [[0, 1], [2, 0]]
    assert [list(rows) for rows in batches(2, 5)] == [[0, 1, 0, 1, 0]]


def test_actions_of_another_shape_are_wrong() -> None:
    with pytest.raises(WrongResult, match="shape"):
        gate(subject_with(BOX, EXPECTED, EXPECTED), EXPECTED[:, :1], 1.0)
