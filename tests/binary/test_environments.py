import gymnasium as gym
import numpy as np
import pytest

from rlcompress.binary.decoders import make_decoder
from rlcompress.binary.encoders import make_encoder
from rlcompress.binary.evaluator import Population, tasks
from rlcompress.binary.rollouts import STARTS, NativeEpisodes, VectorEpisodes
from tests.binary.networks import random_network

pytestmark = pytest.mark.skipif(not tasks(), reason="no native code")
SPREAD = {
    "CartPole-v1": (2.6, 3, 0.25, 3),
    "MountainCar-v0": (1.0, 0.07),
    "Acrobot-v1": (3, 3, 8, 9),
}
CENTRE = {"MountainCar-v0": (-0.3, 0.0)}


@pytest.mark.parametrize("env_id", sorted(SPREAD))
def test_a_native_step_is_gymnasiums(env_id: str) -> None:
    from rlcompress.binary._bits import step_

    env = gym.make(env_id).unwrapped
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    ended = 0
    for _ in range(1000):
        spread = np.array(SPREAD[env_id])
        state = rng.uniform(-spread, spread) + np.array(CENTRE.get(env_id, spread * 0.0))
        if env_id == "MountainCar-v0":
            state[0] = np.clip(state[0], -1.2, 0.6)
        action = int(rng.integers(env.action_space.n))
        env.state = state.copy() if env_id == "Acrobot-v1" else tuple(state)
        if env_id == "CartPole-v1":
            env.steps_beyond_terminated = None
        _, reward, terminated, _, _ = env.step(action)
        moved = state.copy()
        found = step_(env_id, moved, action)
        assert np.abs(moved - np.array(env.state)).max() <= 1e-12
        assert found == (reward, terminated)
        ended += terminated
    assert ended > 0


# Acrobot is chaotic: the last bit of a sine decides, in the end, about an action.
@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0"])
def test_native_episodes_are_those_of_the_vector_api(env_id: str) -> None:
    """The same policy from the same starts: the same lengths and returns, step for step."""
    env = gym.make(env_id)
    inputs = env.observation_space.shape[0]
    scale = [2.4, 3, 0.2, 3] if env_id == "CartPole-v1" else [1.0] * inputs
    encoder = make_encoder("thermometer", [-s for s in scale], scale, edges=16)
    decoder = make_decoder(env.action_space)
    networks = [random_network((encoder.bits, 8, decoder.outputs), seed) for seed in range(3)]
    population = Population.of(networks)
    starts, limit = STARTS[env_id]
    first = starts(np.random.default_rng(0), 2)
    returns, lengths = np.empty((3, 2)), np.empty((3, 2), np.int64)
    from rlcompress.binary.evaluator import native_encoder

    population.native.rollout(
        env_id, native_encoder(encoder), decoder.kind == "count", first, limit, returns, lengths
    )
    for index, network in enumerate(networks):
        for episode, state in enumerate(first):
            total, steps = _play(env, state, encoder, network, decoder, limit)
            assert (returns[index, episode], lengths[index, episode]) == (total, steps)


def _play(env, state, encoder, network, decoder, limit):
    env.reset(seed=0)
    bare = env.unwrapped
    bare.state = np.array(state)
    observation = bare._get_ob() if hasattr(bare, "_get_ob") else np.array(state, np.float32)
    total, steps, done = 0.0, 0, False
    while not done and steps < limit:
        z = network.forward(encoder.encode(observation[None]))
        observation, reward, done, _, _ = bare.step(int(decoder.decode(z)[0]))
        total, steps = total + reward, steps + 1
    return total, steps


def test_vector_episodes_take_every_job_once() -> None:
    encoder = make_encoder("thermometer", [-2.4, -3, -0.2, -3], [2.4, 3, 0.2, 3], edges=4)
    decoder = make_decoder(gym.spaces.Discrete(2))
    networks = [random_network((encoder.bits, 1), seed) for seed in range(5)]
    population = Population.of(networks)
    few = VectorEpisodes("CartPole-v1", encoder, decoder, slots=3)
    many = VectorEpisodes("CartPole-v1", encoder, decoder, slots=16)
    played = [e(population, 2, np.random.default_rng(7)) for e in (few, many)]
    few.close()
    many.close()
    # Returns are lengths here, and common seeds make them independent of who plays where.
    assert np.array_equal(played[0].returns, played[1].returns)
    assert played[0].steps == played[1].steps == played[0].returns.sum()


def test_common_random_numbers_are_common() -> None:
    encoder = make_encoder("thermometer", [-2.4, -3, -0.2, -3], [2.4, 3, 0.2, 3])
    decoder = make_decoder(gym.spaces.Discrete(2))
    twins = Population.of([random_network((64, 8, 1), 0)] * 6)
    for common in (True, False):
        episodes = NativeEpisodes("CartPole-v1", encoder, decoder, common=common)
        returns = episodes(twins, 3, np.random.default_rng(0)).returns
        assert (np.ptp(returns, axis=0) == 0).all() == common
