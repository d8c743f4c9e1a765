"""Networks, encoders and policies that hypothesis makes."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from hypothesis import strategies as st

from rlcompress.artifact import CompressedPolicy
from rlcompress.binary.decoders import make_decoder
from rlcompress.binary.encoders import Encoder, make_encoder
from rlcompress.binary.network import BinaryNetwork, count_weights, from_flat
from rlcompress.binary.policy import BinaryPolicy

WIDTH = st.one_of(st.integers(1, 9), st.sampled_from([31, 63, 64, 65, 127, 128, 130, 252, 253]))


@st.composite
def networks(draw: st.DrawFn, inputs: int | None = None, outputs: int | None = None):
    """A network of any shape; biases odd and even, some beyond what sums can reach."""
    first = draw(WIDTH) if inputs is None else inputs
    hidden = draw(st.lists(WIDTH, max_size=2))
    last = draw(st.integers(1, 9)) if outputs is None else outputs
    widths = (first, *hidden, last)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    largest = draw(st.sampled_from([0, 1, 5, 300]))
    biases = rng.integers(-largest, largest + 1, sum(widths[1:]))
    return from_flat(widths, random_weights(widths, rng), biases)


def random_weights(widths, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 2, count_weights(widths))


def random_network(widths, seed: int = 0, largest: int = 3) -> BinaryNetwork:
    rng = np.random.default_rng(seed)
    biases = rng.integers(-largest, largest + 1, sum(widths[1:]))
    return from_flat(widths, random_weights(widths, rng), biases)


@st.composite
def encoders(draw: st.DrawFn, inputs: int | None = None):
    """An encoder of any code, with equal edges among them."""
    count = draw(st.integers(1, 5)) if inputs is None else inputs
    edges = draw(st.sampled_from([1, 2, 3, 7, 15, 16, 17, 63, 64, 70]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    numbers = np.round(rng.normal(size=(count, edges)), draw(st.integers(0, 6)))
    code = draw(st.sampled_from(["thermometer", "one_hot", "gray"]))
    return Encoder(np.sort(numbers, axis=1).astype(np.float32), code)


@st.composite
def policies(draw: st.DrawFn):
    """A policy for a discrete or a continuous action."""
    inputs = draw(st.integers(1, 5))
    encoder = draw(encoders(inputs))
    discrete = gym.spaces.Discrete(draw(st.integers(2, 4)), start=draw(st.integers(-1, 2)))
    low = np.array([-1.5, 0.0], np.float32)
    box = gym.spaces.Box(low, low + np.array([3.0, 0.1], np.float32))
    space = draw(st.sampled_from([discrete, box]))
    kinds = ["auto"] if space is box else ["auto", "argmax", "thermometer"]
    decoder = make_decoder(space, kind=draw(st.sampled_from(kinds)), levels=3)
    network = draw(networks(encoder.bits, decoder.outputs))
    return BinaryPolicy((inputs,), encoder, network, decoder)


def seeded_policy(seed: int) -> CompressedPolicy:
    """A small policy as an artifact: codes and decoders in turn, biases of every second seed."""
    rng = np.random.default_rng(seed)
    code = ("thermometer", "one_hot", "gray")[seed % 3]
    encoder = Encoder(np.sort(rng.normal(size=(3, 5)), axis=1).astype(np.float32), code)
    spaces = [gym.spaces.Discrete(2), gym.spaces.Discrete(3), gym.spaces.Box(-1.0, 1.0, (2,))]
    decoder = make_decoder(spaces[seed % 3], levels=3)
    shape = (encoder.bits, *(9, 70)[: seed % 3], decoder.outputs)
    policy = BinaryPolicy((3,), encoder, random_network(shape, seed, seed % 2), decoder)
    return policy.freeze(observations(policy, 4))


def observations(policy: BinaryPolicy, count: int, seed: int = 0) -> np.ndarray:
    """Numbers around the edges, and the edges themselves."""
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(count, policy.encoder.inputs)).astype(np.float32)
    found[: len(found) // 2, 0] = rng.choice(policy.encoder.edges[0], len(found) // 2)
    return found


def cartpole_bits(hidden: tuple[int, ...] = (64,)) -> BinaryPolicy:
    """A CartPole policy of 16 edges for each number; random, without biases."""
    limits = [2.4, 3.0, 0.2095, 3.0]
    encoder = make_encoder("thermometer", [-limit for limit in limits], limits)
    network = random_network((encoder.bits, *hidden, 1), largest=0)
    return BinaryPolicy((4,), encoder, network, make_decoder(gym.spaces.Discrete(2)))
