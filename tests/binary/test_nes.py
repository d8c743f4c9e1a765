import numpy as np
import pytest

from rlcompress.binary.fitness import SHAPINGS
from rlcompress.binary.nes import NesSpec, Search


def search(**options) -> Search:
    return Search(200, NesSpec(population=8, **options), np.random.default_rng(0))


def test_shapings_by_hand() -> None:
    returns = np.array([3.0, 1.0, 3.0, 5.0])
    assert SHAPINGS["centred_ranks"](returns).tolist() == pytest.approx([0.0, -0.5, 0.0, 0.5])
    assert SHAPINGS["mean_centred"](returns).tolist() == [0.0, -2.0, 0.0, 2.0]
    assert SHAPINGS["z_score"](returns).tolist() == pytest.approx([0, -(2**0.5), 0, 2**0.5])
    assert SHAPINGS["raw"](returns).tolist() == returns.tolist()


@pytest.mark.parametrize("shaping", ["centred_ranks", "z_score", "mean_centred"])
def test_equal_returns_move_nothing(shaping: str) -> None:
    found = search(shaping=shaping)
    before = found.logits.copy()
    found.step_(found.sample(), np.full(8, 1e9 / 3))
    assert np.array_equal(found.logits, before)


def test_antithetic_samples_mirror_each_other() -> None:
    found = search(initial_std=0.0)  # p = 1/2: u < p and 1 - u < p exclude each other.
    weights = found.sample()
    assert np.array_equal(weights[:4] + weights[4:], np.ones((4, 200)))


def test_samples_follow_their_probabilities() -> None:
    found = Search(50, NesSpec(population=4000), np.random.default_rng(1))
    error = found.sample().mean(0) - found.probabilities
    assert np.abs(error).max() < 5 * 0.5 / 4000**0.5


def test_gradient_is_the_score_weighted_with_the_return() -> None:
    found = search()
    weights, returns = found.sample(), np.arange(8.0)
    shaped = SHAPINGS["z_score"](returns)
    expected = np.mean(
        [f * (w - found.probabilities) for f, w in zip(shaped, weights.astype(float), strict=True)],
        axis=0,
    )
    assert found.gradient(weights, returns) == pytest.approx(expected, abs=1e-5)


def test_updates_are_their_equations() -> None:
    moved = {}
    for name, options in {
        "natural": {"gradient": "natural", "damping": 0.1, "learning_rate": 0.01},
        "exact": {"gradient": "natural", "damping": 0.0, "learning_rate": 1e-3},
        "plain": {"gradient": "plain", "learning_rate": 0.01},
        "probability": {"gradient": "probability", "learning_rate": 1e-3},
    }.items():
        found = search(**options)
        before, p = found.logits.copy(), found.probabilities
        weights, returns = found.sample(), np.arange(8.0)
        g = found.gradient(weights, returns)
        found.step_(weights, returns)
        moved[name] = (found.logits - before) / found.spec.learning_rate, g, p, before
    step, g, p, before = moved["natural"]
    free = np.abs(before) < 3.9
    assert step[free] == pytest.approx((g / (p * (1 - p) + 0.1))[free], rel=1e-2, abs=1e-3)
    assert moved["plain"][0][free] == pytest.approx(moved["plain"][1][free], rel=1e-2, abs=1e-3)
    # A small step in probabilities is the natural step in logits. p is kept from 0 and 1.
    inner = np.abs(before) < 3
    assert moved["probability"][0][inner] == pytest.approx(
        moved["exact"][0][inner], rel=0.05, abs=0.1
    )


def test_logits_stay_within_the_clip() -> None:
    found = search(learning_rate=1e4, logit_clip=2.0)
    for _ in range(3):
        weights = found.sample()
        found.step_(weights, np.arange(8.0))
    assert np.abs(found.logits).max() == 2.0


def test_a_search_finds_a_pattern() -> None:
    rng = np.random.default_rng(3)
    target = rng.integers(0, 2, 60)
    found = Search(60, NesSpec(population=32, learning_rate=2.0), rng)
    for _ in range(60):
        weights = found.sample()
        found.step_(weights, (weights == target).sum(1))
    assert np.array_equal(found.mode, target)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 7}, "even with antithetic"),
        ({"gradient": "exact"}, "one of natural, plain, probability"),
        ({"shaping": "rank"}, "one of z_score, centred_ranks"),
        ({"logit_clip": 11}, r"in \(0, 10\], got 11"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
    ],
)
def test_wrong_specs_are_refused(options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NesSpec(**options)
