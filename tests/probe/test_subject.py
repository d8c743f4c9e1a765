"""The forms of a subject."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlcompress.probe.subject import filled, make_subject
from rlcompress.runtime.reference import Reference
from tests.policies import KINDS
from tests.probe.subjects import subject_of


@pytest.mark.parametrize("kind", KINDS)
def test_filled_policy_has_no_zero_and_is_otherwise_the_same(kind: str) -> None:
    policy = subject_of(kind).policy
    for before, after in zip(policy.linears, filled(policy).linears, strict=True):
        assert np.all(after.weight != 0) and after.weight.dtype == before.weight.dtype
        kept = before.weight != 0
        np.testing.assert_array_equal(after.weight[kept], before.weight[kept])
        assert np.abs(after.weight[~kept]).max(initial=0) <= 1


def test_every_form_has_golden_data_of_its_own() -> None:
    subject = subject_of("conv")
    for form in ("policy", "floating", "filled"):
        golden = subject.golden(form)
        np.testing.assert_array_equal(golden.observations, subject.observations)
        expected = Reference(getattr(subject, form)).forward(golden.observations)
        np.testing.assert_array_equal(golden.outputs, expected)


def test_stream_is_what_is_timed() -> None:
    subject = subject_of("mlp")
    assert subject.timed_on is subject.observations
    stream = subject.observations[:2]
    assert make_subject(subject.policy, stream=stream).timed_on is stream


def test_policy_without_golden_data_is_refused() -> None:
    with pytest.raises(ValueError, match="no golden data to check backends with"):
        make_subject(replace(subject_of("mlp").policy, golden=None))
