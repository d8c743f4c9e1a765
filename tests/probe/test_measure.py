"""Percentiles, ratios and the timing loop."""

from __future__ import annotations

import gc
import time

import numpy as np
import pytest

from rlcompress.probe.measure import (
    Measurement,
    MeasureSpec,
    calls_for,
    clock_overhead_ns,
    time_calls,
)


def measurement(latency_us: list[list[float]], name: str = "one") -> Measurement:
    return Measurement(name, "actor", 1, 1, np.array(latency_us), "test machine")


def test_percentiles_are_derived_from_the_samples() -> None:
    samples = measurement([list(range(1, 501)), list(range(501, 1001))])
    assert samples.p50_us == 500.5
    assert samples.percentile(90) == pytest.approx(np.percentile(np.arange(1, 1001), 90))
    assert samples.max_us == 1000


def test_percentiles_with_too_few_samples_are_not_given() -> None:
    samples = measurement([[1.0] * 1000])
    assert samples.percentile(99) == 1.0  # ten samples lie beyond it
    assert samples.percentile(99.9) is None
    assert samples.percentile(0.1) is None
    assert measurement([[1.0] * 999]).percentile(99) is None


def test_ratio_is_taken_round_by_round() -> None:
    # The machine slows down by ten in the second and third round, for both alike.
    fast = measurement([[1, 1, 1], [10, 10, 10], [11, 10, 10]])
    slow = measurement([[3, 3, 9], [30, 30, 30], [30, 30, 30]])
    assert slow.ratio_to(fast) == 3.0
    assert fast.ratio_to(slow) == pytest.approx(1 / 3)


def test_ratio_of_other_rounds_is_refused() -> None:
    with pytest.raises(ValueError, match="measured in 1 and 2 rounds; measure them together"):
        measurement([[1]]).ratio_to(measurement([[1], [1]]))


def test_arguments_are_taken_in_turn_and_collection_is_put_off() -> None:
    seen: list[tuple[str, bool]] = []
    taken = time_calls(lambda argument: seen.append((argument, gc.isenabled())), ["a", "b"], 5)
    assert [argument for argument, _ in seen] == ["a", "b", "a", "b", "a"]
    assert not any(collecting for _, collecting in seen) and gc.isenabled()
    assert taken.shape == (5,) and taken.min() > 0


def test_each_call_is_timed_alone() -> None:
    taken = time_calls(time.sleep, [0.0, 0.002], 4)
    assert taken[1] >= 2_000_000 and taken[3] >= 2_000_000
    assert clock_overhead_ns() > 0


def test_collection_stays_off_after_an_error() -> None:
    gc.disable()
    try:
        with pytest.raises(ZeroDivisionError):
            time_calls(lambda argument: 1 / argument, [0], 1)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_calls_fill_a_round() -> None:
    spec = MeasureSpec(rounds=1, round_s=0.02, warm_up_s=0.01)
    count = calls_for(time.sleep, [0.001], spec)
    assert 8 <= count <= 20  # A sleep of 1 ms takes at least that.
    assert calls_for(time.sleep, [0.01], spec) == 8


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rounds": 0}, "rounds must be at least 1, got 0"),
        ({"round_s": 0.0}, "round_s must be positive"),
        ({"warm_up_s": float("nan")}, "warm_up_s must be positive"),
    ],
)
def test_wrong_specs(fields: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MeasureSpec(**fields)  # type: ignore[arg-type]
