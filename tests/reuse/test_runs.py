"""Runs: native and numpy alike, and what they say about maps holds."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlcompress.reuse.geometry import Window
from rlcompress.reuse.runs import find_runs, has_native
from tests.reuse.recordings import sequences

WINDOWS = (
    (Window((3, 3)), Window((3, 3))),
    (
        Window((3, 2), (2, 1), (1, 0)),
        Window((2, 2), (2, 2), (1, 1)),
        Window((3, 3), (1, 1), (4, 0)),
    ),
    (Window((2, 3), (1, 1), (1, 2), (2, 2)), Window((4, 4), (3, 3), (2, 2))),
)


def rows(frames):
    return frames.transpose(0, 2, 3, 1)


@pytest.mark.skipif(not has_native(), reason="no native code")
@pytest.mark.parametrize("windows", WINDOWS)
@given(frames=sequences((2, 12, 11)), limit=st.sampled_from([1, 400, 10**6]))
@settings(max_examples=20)
def test_native_and_numpy_find_the_same(windows, frames, limit):
    taken, found = find_runs(rows(frames), windows, limit=limit, native=True)
    taken_numpy, in_numpy = find_runs(rows(frames), windows, limit=limit, native=False)
    assert taken == taken_numpy >= 1
    for a, b in zip(found, in_numpy, strict=True):
        for field in ("positions", "begins", "ends"):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
    for a, b in zip(found[1:], in_numpy[1:], strict=True):
        np.testing.assert_array_equal(a.inputs, b.inputs)


@pytest.mark.parametrize("windows", WINDOWS)
@given(frames=sequences((1, 12, 11)))
@settings(max_examples=10)
def test_every_position_is_in_one_run_at_each_step(windows, frames):
    steps, maps = find_runs(rows(frames), windows)
    size = frames.shape[2:]
    for k, runs in enumerate(maps):
        size = windows[k - 1].outputs(size) if k else size
        covered = np.zeros((steps, size[0] * size[1]), int)
        for position, begin, end in zip(runs.positions, runs.begins, runs.ends, strict=True):
            covered[begin:end, position] += 1
        assert (covered == 1).all()


@given(frames=sequences((1, 12, 11)))
@settings(max_examples=10)
def test_a_run_lies_within_the_runs_that_it_reads(frames):
    _, maps = find_runs(rows(frames), WINDOWS[1])
    for below, runs in itertools.pairwise(maps):
        begins, ends = np.append(0, below.begins), np.append(2**30, below.ends)
        assert (begins[runs.inputs] <= runs.begins[:, None]).all()
        assert (ends[runs.inputs] >= runs.ends[:, None]).all()


def test_frames_that_do_not_change_are_one_run_each():
    frames = np.full((50, 9, 8, 1), 7, np.uint8)
    steps, maps = find_runs(frames, (Window((3, 3)), Window((3, 3))))
    assert steps == 50
    assert [len(one) for one in maps] == [72, 42, 20]


def test_one_pixel_makes_what_reads_it_new():
    frames = np.zeros((2, 9, 8, 1), np.uint8)
    frames[1, 4, 4] = 1
    _, maps = find_runs(frames, (Window((3, 3)), Window((3, 3))))
    assert [len(one) for one in maps] == [72 + 1, 42 + 9, 20 + 5 * 4]


@pytest.mark.parametrize("shape", [(0, 4, 4, 1), (3, 4, 4), (3, 4, 4, 0)])
def test_wrong_frames_are_refused(shape):
    with pytest.raises(ValueError, match="frames must be uint8"):
        find_runs(np.zeros(shape, np.uint8), (Window((3, 3)),))
