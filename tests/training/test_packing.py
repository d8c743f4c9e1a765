"""Transitions come back from their files bit for bit, and games take little room."""

import numpy as np
import pytest

from rlcompress.training.packing import pack, unpack

RNG = np.random.default_rng(0)


def following(observations):
    """Next observations as a run stores them: mostly the next row's, not at an episode's end."""
    after = np.roll(observations, -1, axis=0).copy()
    after[3] = after[-1] = 7
    return after


def vectors(dtype):
    found = RNG.normal(size=(9, 2, 5)).astype(dtype)
    found[2, 0, :3] = np.nan, -0.0, np.inf
    return found


CASES = {
    "float32": {"observations": vectors(np.float32)},
    "float64": {"observations": vectors(np.float64)},
    "images": {"observations": RNG.integers(0, 256, (9, 2, 3, 4, 4), np.uint8)},
    "one row": {"observations": vectors(np.float32)[:1]},
}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.dtype == other[name].dtype
        assert array.shape == other[name].shape
        assert array.tobytes() == other[name].tobytes()


@pytest.mark.parametrize("case", CASES)
def test_whole_observations(case):
    arrays = dict(CASES[case])
    if case != "one row":
        arrays["next_observations"] = following(arrays["observations"])
    else:
        arrays["next_observations"] = arrays["observations"] + 1
    arrays["rewards"] = RNG.normal(size=(len(arrays["observations"]), 2)).astype(np.float32)
    assert_equal(unpack(pack(arrays)), arrays)


def test_frames_take_little_room():
    frames = np.zeros((400, 7056), np.uint8)
    frames[:, 100:120] = RNG.integers(0, 256, (400, 20))
    arrays = {"frames": frames, "frame_slots": np.arange(400), "slots": np.zeros((400, 1, 2, 4))}
    data = pack(arrays)
    assert_equal(unpack(data), arrays)
    assert len(data) < (frames.nbytes + arrays["slots"].nbytes) / 10


def test_memory_that_is_not_in_order():
    observations = RNG.normal(size=(3, 5, 9)).transpose(2, 0, 1)
    arrays = {"observations": observations, "next_observations": following(observations)}
    assert_equal(unpack(pack(arrays)), arrays)
