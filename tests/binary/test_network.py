import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlcompress.binary.evaluator import Population, available_isas, encode
from rlcompress.binary.network import BinaryLayer, BinaryNetwork, from_flat
from rlcompress.binary.packing import count_bits, pack, unpack
from rlcompress.binary.torch_population import TorchPopulation
from rlcompress.binary.torch_population import count_bits as torch_count_bits
from tests.binary.networks import encoders, networks, random_network, random_weights

ISAS = [*available_isas(), "numpy"]


def layer(weights: list[list[int]], bias: list[int]) -> BinaryLayer:
    return BinaryLayer(np.array(weights, np.bool_), np.array(bias, np.int32))


def test_definition_by_hand() -> None:
    # z = 1 - 1 + 1 + 0 = 1, and -1 + 1 - 1 - 1 = -2 with x = (+, -, +).
    network = BinaryNetwork((layer([[1, 1, 1], [0, 0, 0]], [0, -1]),))
    assert network.forward([[True, False, True]]).tolist() == [[1, -2]]


@pytest.mark.parametrize("isa", ISAS)
def test_a_sum_of_zero_does_not_fire(isa: str) -> None:
    # The hidden neuron sees z = 0, gives -1, and the output is -1.
    network = BinaryNetwork((layer([[1, 1]], [0]), layer([[1]], [0])))
    assert network.forward([[True, False]]).item() == -1
    assert Population.of([network], isa=isa).forward(pack([[True, False]])).item() == -1


@pytest.mark.parametrize("isa", ISAS)
def test_odd_biases_take_the_ceiling(isa: str) -> None:
    # 64 inputs of which 32 differ and a bias of 1: z = 1 > 0 fires.
    weights = np.ones((1, 64), np.bool_)
    network = BinaryNetwork((BinaryLayer(weights, np.array([1], np.int32)), layer([[1]], [0])))
    x = np.arange(64)[None] < 32
    assert network.forward(x).item() == 1
    assert Population.of([network], isa=isa).forward(pack(x)).item() == 1


@settings(max_examples=60, deadline=None)
@given(networks(), st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 600]))
def test_all_evaluations_are_the_definition(network: BinaryNetwork, seed: int, count: int) -> None:
    x = np.random.default_rng(seed).integers(0, 2, (count, network.widths[0])).astype(np.bool_)
    expected = network.forward(x)
    for isa in ISAS:
        population = Population.of([network], isa=isa)
        assert np.array_equal(population.forward(pack(x))[0], expected), isa
        assert np.array_equal(population(pack(x)[0]), expected[0]), isa
    on_torch = TorchPopulation(network.widths)
    on_torch.set_(network.flat_weights[None], network.flat_biases[None])
    assert np.array_equal(on_torch.forward(pack(x))[0], expected)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("hidden", [(16,), (63, 64), (255, 256, 257), (1023,), (1024,), (300, 5)])
def test_many_samples_through_wide_layers(isa: str, hidden: tuple[int, ...]) -> None:
    # Whole slices and what is left; some neurons that always fire, and some that never do.
    network = random_network((hidden[-1], *hidden, 3), largest=2 * max(hidden))
    x = np.random.default_rng(0).integers(0, 2, (1100, hidden[-1])).astype(np.bool_)
    found = Population.of([network], isa=isa).forward(pack(x))[0]
    assert np.array_equal(found, network.forward(x))


@pytest.mark.parametrize("isa", [*ISAS, "torch"])
def test_populations_keep_their_networks_apart(isa: str) -> None:
    widths = (70, 9, 3)
    found = [random_network(widths, seed) for seed in range(5)]
    x = np.random.default_rng(0).integers(0, 2, (40, 70)).astype(np.bool_)
    expected = np.stack([network.forward(x) for network in found])
    if isa == "torch":
        population = TorchPopulation(widths, 5)
        weights = np.stack([network.flat_weights for network in found])
        population.set_(weights, np.stack([network.flat_biases for network in found]))
        assert np.array_equal(population.forward(pack(x)), expected)
        return
    native = Population.of(found, isa=isa)
    assert np.array_equal(native.forward(pack(x)), expected)
    which = np.random.default_rng(1).integers(0, 5, 40)
    assert np.array_equal(native.forward_at(which, pack(x)), expected[which, np.arange(40)])


@settings(max_examples=50, deadline=None)
@given(encoders(), st.integers(0, 2**32 - 1))
def test_native_encoders_are_the_definition(encoder, seed: int) -> None:
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(9, encoder.inputs)).astype(np.float32)
    numbers[0] = encoder.edges[:, 0]
    expected = pack(encoder.encode(numbers))
    for isa in ISAS:
        assert np.array_equal(encode(encoder, numbers, isa=isa), expected), isa


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_packing_and_counting(width: int, seed: int) -> None:
    import torch

    bits = np.random.default_rng(seed).integers(0, 2, (4, width)).astype(np.bool_)
    words = pack(bits)
    assert np.array_equal(unpack(words, width), bits)
    assert np.array_equal(count_bits(words).sum(-1), bits.sum(-1))
    counted = torch_count_bits(torch.from_numpy(words.view(np.int64)))
    assert np.array_equal(counted.sum(-1).numpy(), bits.sum(-1))


@pytest.mark.skipif(len(ISAS) == 1, reason="no native code")
def test_one_word_may_be_an_integer() -> None:
    network = random_network((64, 64, 1))
    word = np.random.default_rng(0).integers(0, 2**64, (1, 1), np.uint64)
    population = Population.of([network])
    assert population.native(int(word[0, 0])) == population.forward(word).item()


def test_bytes_of_the_cartpole_network() -> None:
    network = from_flat((64, 64, 1), random_weights((64, 64, 1), np.random.default_rng(0)))
    assert network.size_bytes == {"weights": 520, "with_thresholds": 585}


def test_wrong_requests_say_what_is_wrong() -> None:
    network = random_network((70, 2))
    with pytest.raises(ValueError, match="isa must be"):
        Population((4, 2), isa="mmx")
    with pytest.raises(ValueError, match=r"x must be uint64 of shape \(1, 2\)"):
        Population.of([network]).forward(np.zeros((1, 1), np.uint64))
    with pytest.raises(ValueError, match="beyond its width 70 must be 0"):
        Population.of([network]).forward(np.full((1, 2), 2**64 - 1, np.uint64))
    with pytest.raises(ValueError, match=r"which must hold networks in 0..0"):
        Population.of([network]).forward_at([1], np.zeros((1, 2), np.uint64))
    with pytest.raises(ValueError, match="has 140 weights and 2 biases"):
        from_flat((70, 2), np.zeros(3))
    with pytest.raises(ValueError, match="cannot precede"):
        BinaryNetwork((layer([[1, 1]], [0]), layer([[1, 1]], [0])))
