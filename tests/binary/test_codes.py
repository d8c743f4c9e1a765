import gymnasium as gym
import numpy as np
import pytest

from rlcompress.binary.decoders import make_decoder
from rlcompress.binary.encoders import Encoder, RunningQuantiles, even_edges, make_encoder

EDGES = np.array([[-1.0, 0.0, 1.0]], np.float32)


@pytest.mark.parametrize(
    ("code", "number", "bits"),
    [
        ("thermometer", -2.0, [0, 0, 0]),
        ("thermometer", 0.0, [1, 0, 0]),  # An edge does not lie below itself.
        ("thermometer", 0.5, [1, 1, 0]),
        ("one_hot", -2.0, [1, 0, 0, 0]),
        ("one_hot", 2.0, [0, 0, 0, 1]),
        ("gray", 0.5, [1, 1]),  # 2 is 11
        ("gray", 2.0, [0, 1]),  # 3 is 10
    ],
)
def test_codes_by_hand(code, number: float, bits: list[int]) -> None:
    assert Encoder(EDGES, code).encode([[number]])[0].tolist() == [bool(bit) for bit in bits]


def test_sign_is_the_edge_zero() -> None:
    encoder = make_encoder("sign", [0, 0], [0, 0])
    assert encoder.encode([[0.1, -0.1], [0.0, 3.0]]).tolist() == [[True, False], [False, True]]


def test_even_edges_go_from_bound_to_bound() -> None:
    edges = even_edges([-1.0, 0.0], [1.0, 3.0], 4)
    assert edges.dtype == np.float32
    assert edges == pytest.approx(np.array([[-1, -1 / 3, 1 / 3, 1], [0, 1, 2, 3]]), abs=1e-6)


def test_running_quantiles_cut_into_equal_parts() -> None:
    quantiles = RunningQuantiles(2, capacity=2000)
    rng = np.random.default_rng(0)
    for _ in range(10):
        quantiles.update(np.stack([rng.normal(size=500), rng.uniform(size=500)], axis=1))
    edges = quantiles.edges(3)
    assert quantiles.seen == 5000
    assert edges[1] == pytest.approx([0.25, 0.5, 0.75], abs=0.05)
    assert edges[0] == pytest.approx([-0.674, 0.0, 0.674], abs=0.1)


def test_decoders() -> None:
    z = np.array([[3, -1, 0], [-1, 5, 5]], np.int32)
    assert make_decoder(gym.spaces.Discrete(3, start=2)).decode(z).tolist() == [2, 3]
    sign = make_decoder(gym.spaces.Discrete(2))
    assert sign.outputs == 1
    assert sign.decode(np.array([[1], [0], [-1]], np.int32)).tolist() == [1, 0, 0]
    steps = make_decoder(gym.spaces.Discrete(4), kind="thermometer")
    assert steps.decode(z).tolist() == [1, 2]
    box = make_decoder(gym.spaces.Box(-2.0, 2.0, (1,)), levels=4)
    rows = np.array([[1, 1, 1, 1], [-1, 1, 0, -1], [-3, -1, 0, -1]], np.int32)
    assert box.decode(rows).tolist() == [[2.0], [-1.0], [-2.0]]


def test_wrong_requests_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="one of thermometer, one_hot, gray, sign"):
        make_encoder("octal", [0], [1])
    with pytest.raises(ValueError, match="low < high"):
        make_encoder("gray", [0], [np.inf])
    with pytest.raises(ValueError, match="ascend"):
        Encoder(EDGES[:, ::-1].copy())
    with pytest.raises(ValueError, match="Discrete and bounded Box"):
        make_decoder(gym.spaces.Box(-np.inf, np.inf, (1,)))
    with pytest.raises(ValueError, match="sign for two"):
        make_decoder(gym.spaces.Discrete(3), kind="sign")
