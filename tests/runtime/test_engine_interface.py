"""The engine as Python code meets it: arrays it takes, errors it gives, what it is made of."""

import multiprocessing
import pickle
import sys
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.evaluation import evaluate_policy

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.records import AnyArray
from rlcompress.runtime import Reference, with_golden
from tests.artifact.networks import hopper
from tests.policies import random_observations, random_policy

pytest.importorskip("rlcompress.runtime._engine", reason="built without a compiler")

from rlcompress.runtime.engine import Engine, available_isas


@pytest.fixture(scope="module")
def policy() -> CompressedPolicy:
    return hopper(0.9)


@pytest.fixture(scope="module")
def image_policy() -> CompressedPolicy:
    return random_policy(np.random.default_rng(3), "conv")


def observations_of(policy: CompressedPolicy, count: int = 3) -> AnyArray:
    return random_observations(np.random.default_rng(0), policy.observation, count)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.astype(np.float64),
        lambda x: x.astype(np.float16),
        lambda x: x.astype(">f4"),
        lambda x: np.rint(x).astype(np.int64),
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1],
        lambda x: x.tolist(),
    ],
    ids=["float64", "float16", "big-endian", "int64", "fortran", "strided", "reversed", "list"],
)
def test_takes_what_the_reference_takes(policy: CompressedPolicy, change: Any) -> None:
    given = change(observations_of(policy))
    engine, reference = Engine(policy), Reference(policy)
    assert np.array_equal(engine(given), reference(given))
    assert np.array_equal(engine(given[0]), reference(given[0]))
    assert np.array_equal(engine.forward(given[0]), reference.forward(given[0]))


def test_takes_strided_images(image_policy: CompressedPolicy) -> None:
    given = np.repeat(observations_of(image_policy), 2, axis=2)[:, :, ::2]
    assert np.array_equal(Engine(image_policy)(given), Reference(image_policy)(given))


def broken_observations(policy: CompressedPolicy) -> list[Any]:
    good = observations_of(policy)
    broken: list[Any] = [good[:, :-1], good[0, 0], good[None], None, "text"]
    if policy.observation.image:
        return [*broken, good.astype(np.float32), good.astype(np.int64)]
    for value in (np.nan, np.inf, -np.inf):
        for index in ((0, 0), (2, good.shape[1] - 1)):
            bad = good.astype(np.float64)
            bad[index] = value
            broken += [bad, bad.astype(np.float32), bad[index[0]].astype(np.float32)]
    return [*broken, good.astype(np.complex64), np.full_like(good, 1e39, np.float64)]


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("kind", ["vector", "image"])
def test_errors_are_those_of_the_reference(
    kind: str, isa: str, policy: CompressedPolicy, image_policy: CompressedPolicy
) -> None:
    chosen = policy if kind == "vector" else image_policy
    engine, reference = Engine(chosen, isa=isa), Reference(chosen)
    for given in broken_observations(chosen):
        with pytest.raises(ValueError) as expected:
            reference(given)
        with pytest.raises(ValueError) as raised:
            engine(given)
        assert str(raised.value) == str(expected.value)


def test_out_is_written_and_returned(policy: CompressedPolicy) -> None:
    engine, given = Engine(policy), observations_of(policy)
    actions, outputs = np.zeros((3, 3), np.float32), np.zeros((3, 3), np.float32)
    assert engine(given, actions) is actions
    assert engine(given.astype(np.float16), out=actions) is actions
    assert engine(given, out=actions) is actions
    assert engine.forward(given, out=outputs) is outputs
    assert np.array_equal(actions, engine(given))
    assert np.array_equal(outputs, engine.forward(given))
    single = np.zeros(3, np.float32)
    assert engine(given[1], out=single) is single
    assert np.array_equal(single, actions[1])


def read_only(shape: tuple[int, ...]) -> AnyArray:
    array = np.zeros(shape, np.float32)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "out",
    [np.zeros((3, 3)), np.zeros((2, 3), np.float32), read_only((3, 3)), [0.0] * 9, "out"],
    ids=["dtype", "shape", "read-only", "list", "text"],
)
def test_wrong_out_is_refused(policy: CompressedPolicy, out: Any) -> None:
    with pytest.raises(ValueError, match=r"out must be a writable C-contiguous float32 .*\(3, 3\)"):
        Engine(policy)(observations_of(policy), out=out)


def test_calls_with_out_allocate_nothing(policy: CompressedPolicy) -> None:
    engine, given, out = Engine(policy), observations_of(policy), np.zeros((3, 3), np.float32)
    engine(given, out)
    before = sys.getallocatedblocks()
    for _ in range(1000):
        engine(given, out)
    assert sys.getallocatedblocks() - before < 50


def test_batches_let_other_threads_run(image_policy: CompressedPolicy) -> None:
    """While a batch is computed, another Python thread gets on."""
    engine, given = Engine(image_policy, isa="portable"), observations_of(image_policy, 64)
    times = 1
    while (spent := seconds_of(engine, given, times)) < 0.5:
        times = max(2 * times, int(times * 0.6 / max(spent, 1e-3)))
    batch = np.concatenate([given] * times)
    limits: list[float] = []
    ready = threading.Event()

    def work() -> None:
        ready.set()
        limits.append(time.perf_counter())
        engine(batch)
        limits.append(time.perf_counter())

    worker = threading.Thread(target=work)
    worker.start()
    ready.wait()
    seen = [time.perf_counter()]
    while worker.is_alive():
        seen.append(time.perf_counter())
        time.sleep(0.001)
    worker.join()
    start, end = limits
    middle = (start + 0.25 * (end - start), end - 0.25 * (end - start))
    assert any(middle[0] < moment < middle[1] for moment in seen)


def seconds_of(engine: Engine, given: AnyArray, times: int) -> float:
    batch = np.concatenate([given] * times)
    start = time.perf_counter()
    engine(batch)
    return time.perf_counter() - start


def test_discrete_actions_are_int64() -> None:
    chosen = random_policy(np.random.default_rng(11), "mlp")
    for seed in range(12, 100):
        if chosen.action.kind == "argmax":
            break
        chosen = random_policy(np.random.default_rng(seed), "mlp")
    engine, given = Engine(chosen), observations_of(chosen)
    assert (engine(given).dtype, engine(given).shape) == (np.int64, (3,))
    assert (engine(given[0]).dtype, engine(given[0]).shape) == (np.int64, ())


def test_empty_batches(policy: CompressedPolicy) -> None:
    engine, given = Engine(policy, threads=2), observations_of(policy)[:0]
    assert engine(given).shape == (0, 3)
    assert engine.forward(given).shape == (0, 3)


def test_pickled_engines_are_equal(policy: CompressedPolicy) -> None:
    engine = Engine(policy, threads=2, isa="portable", reuse=True)
    copy = pickle.loads(pickle.dumps(engine))
    given = observations_of(policy)
    assert np.array_equal(copy(given), engine(given))
    assert copy.isa == "portable"


def act_elsewhere(engine: Engine, given: AnyArray) -> AnyArray:
    return engine(given)


def test_spawned_processes_get_engines(policy: CompressedPolicy) -> None:
    engine, given = Engine(policy), observations_of(policy)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert np.array_equal(pool.apply(act_elsewhere, (engine, given)), engine(given))


def test_forked_processes_run_batches(policy: CompressedPolicy) -> None:
    """The threads of a pool do not survive a fork; the engine starts new ones."""
    engine = Engine(policy, threads=2)
    given = observations_of(policy, engine.break_even + 10)
    expected = engine(given)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert np.array_equal(pool.apply(act_elsewhere, (engine, given)), expected)


def test_wrong_options_are_refused(policy: CompressedPolicy) -> None:
    with pytest.raises(ValueError, match=r"threads must be in 1\.\.1024, got 0"):
        Engine(policy, threads=0)
    with pytest.raises(ValueError, match=r"isa must be 'auto'.*'portable' .* got 'mmx'"):
        Engine(policy, isa="mmx")
    assert available_isas()[-1] == "portable"
    assert Engine(policy).isa == available_isas()[0]


def test_loads_an_artifact_and_agrees_with_its_golden_data(
    policy: CompressedPolicy, tmp_path: Path
) -> None:
    with_golden(policy, observations_of(policy)).save(tmp_path / "actor.rlc")
    engine = Engine.load(tmp_path / "actor.rlc", isa="portable")
    golden = engine.policy.golden
    assert golden is not None
    assert np.array_equal(engine.forward(golden.observations), golden.outputs)
    assert np.array_equal(engine(golden.observations), golden.actions)


def test_predict_is_what_evaluate_policy_wants() -> None:
    for seed in range(1000):  # One that fits Pendulum.
        chosen = random_policy(np.random.default_rng(seed), "mlp")
        if chosen.observation.shape == (3,) and chosen.action.shape == (1,):
            break
    engine = Engine(chosen)
    env = gym.make("Pendulum-v1")
    state = (1, 2)
    observation = env.reset(seed=0)[0]
    action, same = engine.predict(observation, state, np.array([True]), deterministic=True)
    assert same is state
    assert np.array_equal(action, engine(observation))
    mean, _ = evaluate_policy(engine, env, n_eval_episodes=1, warn=False)  # type: ignore[arg-type]
    assert np.isfinite(mean)
    env.close()


def test_an_engine_without_init_is_refused(policy: CompressedPolicy) -> None:
    empty = Engine.__new__(Engine)
    with pytest.raises((RuntimeError, TypeError)):
        empty(observations_of(policy))
    with pytest.raises((RuntimeError, TypeError)):
        empty.forward(observations_of(policy))
