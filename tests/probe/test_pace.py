"""Paced loops: which ticks count as missed."""

from __future__ import annotations

import time

import pytest

from rlcompress.probe.pace import pace


def test_a_policy_that_does_nothing_keeps_count() -> None:
    seen: list[int] = []
    paced = pace(seen.append, [1, 2, 3], 1000.0, 0.03)
    assert paced.ticks == 30
    assert len(seen) == len(paced.late_us) == len(paced.done_us) <= 30
    assert seen[:4] == [1, 2, 3, 1]
    assert (paced.late_us >= 0).all() and (paced.done_us >= paced.late_us).all()
    assert paced.missed >= paced.ticks - len(seen)


def test_a_policy_that_is_too_slow_misses() -> None:
    # Each call takes three and a half periods: it ends in the fourth, and two are gone meanwhile.
    paced = pace(lambda _: time.sleep(0.007), [0], 500.0, 0.1)
    assert not paced.holds
    assert paced.missed == paced.ticks == 50
    assert len(paced.done_us) < 20
    assert paced.done_us.min() >= 7000


def test_summary_is_json_able_and_short() -> None:
    row = pace(lambda _: None, [0], 50_000.0, 0.05).summary()
    assert row["rate_hz"] == 50_000 and row["ticks"] == 2500
    assert row["late_p50_us"] <= row["late_p99_us"] <= row["late_max_us"]
    assert row["done_max_us"] >= row["done_p50_us"]
    assert 1 <= len(row["trace"]) <= 500
    assert row["holds"] is (row["missed"] == 0)


def test_at_least_one_tick() -> None:
    paced = pace(lambda _: None, [0], 10.0, 0.01)
    assert paced.ticks == 1
    assert paced.summary()["late_max_us"] == pytest.approx(paced.late_us[0], abs=1e-2)
