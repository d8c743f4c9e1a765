"""Drawings that a page can recolour, and files of the same figures."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from rlcompress.evaluation.plots import kept_axis, pareto_front, short_number
from rlcompress.evaluation.plots_policy import block_means, histogram_of
from rlcompress.evaluation.style import COLOURS, colour, keep_labels_apart, shade
from rlcompress.reporting.render import PNG_SCALE, Panel, Picture, panel_svg, save_picture


def lines(figure):
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=colour("pruned"), label="a line")
    axes.set_title("A title")


def test_a_panel_takes_its_colours_and_its_font_from_the_page():
    svg = panel_svg(Panel("lines", lines, (300, 200), "What it shows"), "f0")
    assert svg.startswith('<svg viewBox="0 0 300 200" role="img" aria-label="What it shows"')
    assert svg.rstrip().endswith("</svg>")
    assert "var(--pruned)" in svg
    assert "A title" in svg
    assert "var(--font)" in svg
    assert "DejaVu" not in svg
    assert not re.search(r"(stroke|fill): #(?!000000)", svg)
    found = re.findall(r'id="([^"]+)"', svg)
    assert found
    assert all(name.startswith("f0-") for name in found)
    for name in re.findall(r"url\(#([^)]+)\)", svg):
        assert name in found


def test_light_colours_differ_so_that_they_tell_their_name():
    assert len({light for light, _ in COLOURS.values()}) == len(COLOURS)
    assert all(re.fullmatch("#[0-9a-f]{6}", c) for pair in COLOURS.values() for c in pair)


def test_a_picture_is_the_same_files_each_time(tmp_path):
    picture = Picture("two", "Two", "", (Panel("a", lines, (300, 200)), Panel("b", lines)))
    svg, png = save_picture(picture, tmp_path)
    first = svg.read_bytes(), png.read_bytes()
    assert Image.open(png).size == (PNG_SCALE * (300 + 410), PNG_SCALE * 310)
    save_picture(picture, tmp_path)
    assert (svg.read_bytes(), png.read_bytes()) == first


@pytest.mark.parametrize(("rank", "levels", "expected"), [(0, 1, "pruned"), (6, 7, "pruned-7")])
def test_shades(rank, levels, expected):
    assert shade("pruned", rank, levels) == colour(expected)


def test_the_sparser_one_is_the_stronger_shade():
    for levels in range(2, 12):
        shades = [shade("quantised", rank, levels) for rank in range(levels)]
        names = [name for name, pair in COLOURS.items() if name.startswith("quantised-")]
        order = [names.index(next(n for n in names if colour(n) == s)) for s in shades]
        assert order == sorted(order)
    assert shade("dense", 3, 7) == colour("dense")


def test_labels_keep_apart_and_in_order():
    found = keep_labels_apart([1.0, 1.01, 0.99, 5.0], 0.5)
    assert sorted(range(4), key=lambda i: found[i]) == [2, 0, 1, 3]
    assert np.diff(sorted(found)).min() >= 0.49
    assert found[3] == 5.0


def test_the_front_by_hand():
    points = [(1.0, 5.0), (2.0, 5.0), (2.0, 9.0), (3.0, 8.0), (0.5, 1.0)]
    assert pareto_front(points) == [0, 2, 4]
    assert pareto_front([(1.0, 1.0), (1.0, 1.0)]) == [0, 1]


def test_axes():
    assert kept_axis(0.5) == 1
    assert kept_axis(0.75) == 2
    assert [short_number(x) for x in (0, 300, 2500, 1e6)] == ["0", "300", "2.5k", "1M"]


def test_blocks_are_means():
    values = np.arange(12.0).reshape(2, 6)
    assert np.array_equal(block_means(values, 6), values)
    assert np.array_equal(block_means(values, 3)[:, 0], [0.5, 6.5])
    assert block_means(np.ones((1000, 3)), 256).shape == (256, 3)


def test_a_probes_histogram_has_fifty_bins_per_decade():
    centres, counts = histogram_of({"histogram": {"first": 50, "counts": [3, 1]}})
    assert centres == pytest.approx([10 ** (50.5 / 50), 10 ** (51.5 / 50)])
    assert counts.tolist() == [3, 1]
