"""Turns panels into files and into SVG for a page: one drawing, any theme.

A ``Picture`` is a figure of the report: a title, a caption and panels. On the page each panel is an
SVG of its own, so that a wide screen shows them side by side and a phone one below the other; as a
file they are one image. Knows nothing of what is drawn.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from rlcompress.artifact.file import write_bytes
from rlcompress.evaluation.style import COLOURS, PANEL, colour, drawing

PNG_SCALE = 2
"""Pixels of a PNG per CSS pixel."""


@dataclass(frozen=True)
class Panel:
    """One drawing: ``draw`` gets an empty (sub)figure of ``size`` pixels to fill."""

    title: str
    draw: Callable[[Any], None]
    size: tuple[int, int] = PANEL
    spoken: str = ""


@dataclass(frozen=True)
class Picture:
    """Panels that belong together; ``key`` names their files, ``caption`` says how to read them."""

    key: str
    title: str
    caption: str
    panels: tuple[Panel, ...]


def panel_svg(panel: Panel, prefix: str) -> str:
    """The panel as an SVG element for a page, colours as CSS variables, ids made unique."""
    from matplotlib.figure import Figure

    with drawing():
        width, height = panel.size
        figure = Figure(figsize=(width / 72, height / 72), dpi=72, layout="constrained")
        panel.draw(figure)
        text = _svg(figure, transparent=True)
    body = themed(_own_ids(text[text.index("<svg") :], prefix))
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.S)
    opening = (
        f'<svg viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(panel.spoken or panel.title, quote=True)}"'
        ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return opening + body[body.index(">") + 1 :].strip()


def themed(svg: str) -> str:
    """Every colour of the palette as the CSS variable of its name, and the page's own font."""
    for name in COLOURS:
        svg = re.sub(re.escape(colour(name)), f"var(--{name})", svg, flags=re.IGNORECASE)
    # Matplotlib writes `font: 12px 'DejaVu Sans'` or, since 3.11, `font-family: 'DejaVu Sans'`.
    svg = re.sub(r"font-family: [^;\"]+", "font-family: var(--font)", svg)
    return re.sub(r"(font: [^;\"]*?px) [^;\"]+", r"\1 var(--font)", svg)


def save_picture(picture: Picture, directory: Path) -> list[Path]:
    """The picture as ``<key>.svg`` and ``<key>.png``, panels in a grid, in light colours."""
    from matplotlib.figure import Figure

    columns = min(len(picture.panels), 1 if len(picture.panels) == 1 else 2)
    rows = [picture.panels[i : i + columns] for i in range(0, len(picture.panels), columns)]
    width = max(sum(panel.size[0] for panel in row) for row in rows)
    heights = [max(panel.size[1] for panel in row) for row in rows]
    with drawing():
        figure = Figure(figsize=(width / 72, sum(heights) / 72), dpi=72, layout="constrained")
        strips = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)[:, 0]
        for strip, row in zip(strips, rows, strict=True):
            _fill(strip, row, columns)
        svg = _svg(figure, transparent=False).encode()
        # What was found for the SVG holds for the PNG, and takes longer to find than to draw.
        figure.set_layout_engine("none")
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=72 * PNG_SCALE, metadata={"Software": None})
    files = [directory / f"{picture.key}.svg", directory / f"{picture.key}.png"]
    for path, data in zip(files, (svg, png.getvalue()), strict=True):
        write_bytes(path, data)
    return files


def _fill(strip: Any, row: Sequence[Panel], columns: int) -> None:
    cells = strip.subfigures(1, columns, squeeze=False)[0]
    for cell, panel in zip(cells, row, strict=False):
        panel.draw(cell)


def _svg(figure: Any, *, transparent: bool) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=transparent)
    return buffer.getvalue()


def _own_ids(svg: str, prefix: str) -> str:
    """Ids made unique in a page of many SVGs, with everything that refers to them."""
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    return re.sub(r'xlink:href="#([^"]+)"', rf'xlink:href="#{prefix}-\1"', svg)
