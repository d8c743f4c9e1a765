"""The native engine against the reference, bit for bit, and its Python interface."""

import pickle
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.records import Action, AnyArray, Observation
from rlcompress.runtime import Reference
from tests.artifact.networks import hopper
from tests.policies import KINDS, policies, random_observations, random_policy

pytest.importorskip("rlcompress.runtime._engine", reason="built without a compiler")

from rlcompress.runtime.engine import Engine, available_isas  # noqa: E402

ISAS = available_isas()


def assert_same(first: AnyArray, second: AnyArray) -> None:
    """Equal in type, shape and bits, except that zeros may differ in sign."""
    assert first.dtype == second.dtype
    assert first.shape == second.shape
    assert np.array_equal(first, second, equal_nan=first.dtype.kind == "f")


def assert_equals_reference(policy: CompressedPolicy, observations: AnyArray, **options: Any) -> None:
    reference, engine = Reference(policy), Engine(policy, **options)
    assert_same(engine.forward(observations), reference.forward(observations))
    assert_same(engine(observations), reference(observations))
    for observation in observations[:2]:
        assert_same(engine(observation), reference(observation))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_reference(kind: str, isa: str) -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        policy = random_policy(rng, kind)
        assert_equals_reference(policy, random_observations(rng, policy.observation, 7), isa=isa)


@given(policies(), st.integers(0, 40))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_equals_the_reference_everywhere(policy: CompressedPolicy, count: int) -> None:
    observations = random_observations(np.random.default_rng(count), policy.observation, count)
    for isa in ISAS:
        assert_equals_reference(policy, observations, isa=isa)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("size", [1e3, 1e38])
def test_saturating_values(isa: str, size: float) -> None:
    """Observations so large that activations saturate or float sums overflow to infinities."""
    for seed, kind in enumerate(("mlp", "mlp_tanh", "mlp_weight_only", "mlp_float", "mlp_mixed")):
        rng = np.random.default_rng(seed)
        policy = random_policy(rng, kind)
        observations = random_observations(rng, policy.observation, 20) * np.float32(size)
        observations = np.clip(observations, -3e38, 3e38)
        assert_equals_reference(policy, observations, isa=isa)
