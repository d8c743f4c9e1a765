"""The native engine against the reference, bit for bit, and its Python interface."""

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.records import Action, AnyArray, Observation
from rlcompress.runtime import Reference
from tests.policies import KINDS, policies, random_observations, random_policy
from tests.policy_builder import Arithmetic, Builder

pytest.importorskip("rlcompress.runtime._engine", reason="built without a compiler")

from rlcompress.runtime.engine import Engine, available_isas

ISAS = available_isas()


def assert_same(first: AnyArray, second: AnyArray) -> None:
    """Equal in type, shape and bits, except that zeros may differ in sign."""
    assert first.dtype == second.dtype
    assert first.shape == second.shape
    assert np.array_equal(first, second, equal_nan=first.dtype.kind == "f")


def assert_equals_reference(
    policy: CompressedPolicy, observations: AnyArray, **options: Any
) -> None:
    reference, engine = Reference(policy), Engine(policy, **options)
    assert_same(engine.forward(observations), reference.forward(observations))
    assert_same(engine(observations), reference(observations))
    for observation in observations[:2]:
        assert_same(engine(observation), reference(observation))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("image", [True, False])
@pytest.mark.parametrize("reader", ["activation", "sum"])
def test_a_flattened_image_is_read_element_by_element(reader: str, image: bool, isa: str) -> None:
    """Its memory has channels filled up and may have borders: only dense layers look past these."""
    rng = np.random.default_rng(7)
    observation = Observation((6, 7, 2), image)
    builder = Builder(rng, observation, arithmetic="integer", sparsity=0.3)
    if reader == "sum":
        builder.conv(3, (3, 2), "relu")
    flat = builder.flatten()
    if reader == "sum":
        builder.add(flat, builder.dense(builder.type_of(flat).shape[0], "relu"))
    builder.activation("relu")
    builder.dense(3, "none", final=True)
    policy = builder.policy(Action("argmax"))
    batch = random_observations(rng, observation, 6)
    assert_equals_reference(policy, batch, isa=isa)
    engine, reference = Engine(policy, isa=isa, reuse=True), Reference(policy)
    for seen in (*batch, batch[-1]):
        assert_same(engine.forward(seen[None]), reference.forward(seen[None]))


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
        observations = random_observations(rng, policy.observation, 20).clip(-3, 3)
        observations = observations * np.float32(size)
        assert_equals_reference(policy, observations, isa=isa)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", KINDS)
def test_reuse_changes_nothing(kind: str, isa: str) -> None:
    """Random edits of three environments' frames: none, few pixels, everything."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        policy = random_policy(rng, kind)
        plain, reusing = Engine(policy, isa=isa), Engine(policy, isa=isa, reuse=True)
        frames = random_observations(rng, policy.observation, 3)
        for _ in range(20):
            frames = edited(rng, policy.observation, frames)
            assert_same(reusing.forward(frames), plain.forward(frames))
            assert_same(reusing(frames[0]), plain(frames[0]))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("arithmetic", ["integer", "weight_only", "float"])
def test_any_window(isa: str, arithmetic: Arithmetic) -> None:
    """Kernels, strides and paddings of all proportions, with and without reuse."""
    for seed in range(25):
        rng = np.random.default_rng(seed)
        policy = windowed_policy(rng, arithmetic)
        reference, engine = Reference(policy), Engine(policy, isa=isa)
        reusing = Engine(policy, isa=isa, reuse=True)
        frames = random_observations(rng, policy.observation, 14)
        for _ in range(3):
            expected = reference.forward(frames)
            assert_same(engine.forward(frames), expected)
            assert_same(reusing.forward(frames), expected)
            frames = edited(rng, policy.observation, frames)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("arithmetic", ["integer", "weight_only", "float", "mixed"])
@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.8, 0.95, 0.999])
def test_large_layers(isa: str, arithmetic: Arithmetic, sparsity: float) -> None:
    """Layers of several tiles and windows, so that every packing and every remainder occurs."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        builder = Builder(
            rng, Observation((int(rng.integers(1, 400)),)), arithmetic=arithmetic, sparsity=sparsity
        )
        for _ in range(2):
            builder.dense(int(rng.integers(1, 300)), "relu" if rng.random() < 0.7 else "tanh")
        builder.dense(int(rng.integers(1, 90)), "none", final=True)
        policy = builder.policy(Action("argmax"))
        assert_equals_reference(policy, random_observations(rng, policy.observation, 31), isa=isa)


def windowed_policy(rng: np.random.Generator, arithmetic: Arithmetic) -> CompressedPolicy:
    height, width = (int(side) for side in rng.integers(8, 20, 2))
    observation = Observation((height, width, int(rng.integers(1, 5))), True)
    builder = Builder(rng, observation, arithmetic=arithmetic, sparsity=None)
    for _ in range(2):
        sides = builder.type_of(builder.last).shape[:2]
        kernel = [int(rng.integers(1, min(side, 6) + 1)) for side in sides]
        stride, padding = rng.integers(1, 6, 2), rng.integers(0, 4, 2)
        builder.conv(
            int(rng.integers(1, 40)),
            (kernel[0], kernel[1]),
            stride=(int(stride[0]), int(stride[1])),
            padding=(int(padding[0]), int(padding[1])),
        )
    builder.flatten()
    builder.dense(int(rng.integers(1, 70)))
    builder.dense(5, "none", final=True)
    return builder.policy(Action("argmax"))


def edited(rng: np.random.Generator, observation: Observation, frames: AnyArray) -> AnyArray:
    mode = rng.integers(4)
    if mode == 0:
        return random_observations(rng, observation, len(frames))
    frames = frames.copy()
    fresh = random_observations(rng, observation, len(frames))
    if mode == 1:
        index = tuple(int(rng.integers(size)) for size in frames.shape)
        frames[index] = fresh[index]
    if mode == 2:
        corner = tuple(slice(int(rng.integers(size)), None) for size in frames.shape)
        frames[corner] = fresh[corner]
    return frames


def test_reuse_after_a_refused_observation() -> None:
    rng = np.random.default_rng(0)
    policy = random_policy(rng, "mlp")
    engine = Engine(policy, reuse=True)
    good = random_observations(rng, policy.observation, 1)[0]
    expected = engine.forward(good)
    bad = good.copy()
    bad.reshape(-1)[-1] = np.nan
    with pytest.raises(ValueError, match="finite"):
        engine(bad)
    assert_same(engine.forward(good), expected)


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_large_batches_on_several_threads(kind: str, reuse: bool) -> None:
    rng = np.random.default_rng(1)
    policy = random_policy(rng, kind)
    one, many = Engine(policy), Engine(policy, threads=3, reuse=reuse)
    assert 1 < many.break_even < 2**31
    observations = random_observations(rng, policy.observation, 4096 if kind == "mlp" else 600)
    repeated = np.concatenate([observations] * (1 + many.break_even // len(observations)))
    assert len(repeated) >= many.break_even
    assert_same(many.forward(repeated), one.forward(repeated))
    assert_same(many(repeated), one(repeated))


def test_errors_on_several_threads_name_the_first_element() -> None:
    rng = np.random.default_rng(1)
    policy = random_policy(rng, "mlp")
    engine = Engine(policy, threads=2)
    observations = random_observations(rng, policy.observation, engine.break_even + 1000)
    observations[[700, 900]] = np.inf
    with pytest.raises(ValueError, match=r"index \(700, 0"):
        engine(observations)


@pytest.mark.parametrize("reuse", [False, True])
def test_several_python_threads_use_one_engine(reuse: bool) -> None:
    rng = np.random.default_rng(2)
    policy = random_policy(rng, "conv")
    engine, reference = Engine(policy, reuse=reuse), Reference(policy)
    batches = [random_observations(rng, policy.observation, 5) for _ in range(4)]
    expected = [reference(batch) for batch in batches]
    wrong: list[int] = []

    def work(which: int) -> None:
        for _ in range(100):
            if not np.array_equal(engine(batches[which]), expected[which]):
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
