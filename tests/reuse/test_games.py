"""Frames of games, and how much of them changes, counted by hand on small masks."""

import itertools

import numpy as np
import pytest

from rlcompress.reuse.change import (
    ChangeCounter,
    dilated,
    rectangle,
    rectangle_share,
    shares,
    tiles,
)
from rlcompress.reuse.games import GAMES, Game, View, check_game, random_play, record
from rlcompress.reuse.geometry import Window, dilate


def test_the_games_are_24_and_others_are_refused():
    assert len(set(GAMES)) == 24
    check_game("Pong")
    with pytest.raises(ValueError, match="'Pnog'; did you mean Pong"):
        check_game("Pnog")


@pytest.mark.parametrize("downsample", [2, 4])
@pytest.mark.parametrize("grey", [True, False])
def test_views(downsample, grey):
    view = View(downsample, grey)
    game = Game("Boxing", view, seed=3)
    frame = game.reset()
    assert frame.shape == view.shape == {2: (105, 80), 4: (53, 40)}[downsample]
    assert frame.dtype == np.uint8 and frame.flags.c_contiguous
    screen = game.env.unwrapped.ale.getScreenGrayscale() if grey else None
    colours = game.env.unwrapped.ale.getScreenRGB()
    whole = screen if grey else colours[:, :, 0]
    np.testing.assert_array_equal(frame, whole[::downsample, ::downsample])
    assert game.actions == 18
    game.close()


def test_play_is_as_the_tables_say():
    keywords = Game("Breakout", View(4, grey=False), seed=0).env.spec.kwargs
    assert keywords["frameskip"] == (2, 5)
    assert keywords["repeat_action_probability"] == 0.25
    assert keywords["full_action_space"] is False


def test_recordings_depend_on_the_seed_alone():
    view = View(4, grey=True)
    first, again, other = (record("Breakout", view, count=30, seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    played = np.stack(list(itertools.islice(random_play("Breakout", view, seed=5), 30)))
    np.testing.assert_array_equal(first, played)


def mask(shape, *places):
    found = np.zeros(shape, bool)
    for place in places:
        found[place] = True
    return found


def test_rectangles():
    assert rectangle(mask((5, 6))) is None
    assert rectangle(mask((5, 6), (1, 4), (3, 2))) == (1, 4, 2, 5)
    assert rectangle_share(mask((5, 6), (1, 4), (3, 2))) == 9 / 30
    assert rectangle_share(mask((5, 6))) == 0


def test_tiles_are_cut_at_the_border():
    found = tiles(mask((5, 6), (0, 3), (4, 5)), 4)
    np.testing.assert_array_equal(found, [[True, False], [False, True]])


def test_dilation_is_the_stack_s():
    import torch

    rng = np.random.default_rng(0)
    changed = rng.random((12, 9)) < 0.05
    found = dilate(Window((5, 5)), torch.from_numpy(changed)).numpy()
    np.testing.assert_array_equal(dilated(changed, 5), found)


def test_shares_of_one_pixel():
    rgb = mask((210, 160, 3), (100, 80, 1))
    found = shares(rgb, mask((210, 160), (100, 80)))
    assert found["rgb_elements"] == 1 / (210 * 160 * 3)
    assert found["rgb_rectangle"] == found["grey_pixels"] == 1 / (210 * 160)
    assert found["grey_tiles_8"] == 1 / (27 * 20)
    assert found["unchanged_frames"] == 0
    assert found["red_d2_pixels"] == found["red_d4_second"] == 0
    assert found["grey_d4_pixels"] == 1 / (53 * 40)
    assert found["grey_d4_second"] == 25 / (49 * 36)
    assert found["grey_d2_second_rectangle"] == 25 / (101 * 76)


def test_the_counter_takes_the_mean_of_pairs():
    counter = ChangeCounter()
    screens = [np.zeros((210, 160, 3), np.uint8) for _ in range(3)]
    screens[1][0, 0] = 9
    screens[2][0, 0] = 9
    for screen in screens:
        counter.add(screen, screen[:, :, 0])
    means = counter.means()
    assert counter.pairs == 2
    assert means["unchanged_frames"] == 50
    assert means["grey_pixels"] == pytest.approx(100 / (210 * 160) / 2)
