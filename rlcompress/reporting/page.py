"""The report's page: one HTML file that needs nothing else, no network and no script.

Puts together what ``blocks.py`` and ``render.py`` make; decides the order and the words around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

from rlcompress.evaluation.style import COLOURS
from rlcompress.reporting import blocks
from rlcompress.reporting.inputs import Skipped
from rlcompress.reporting.render import Picture, panel_svg
from rlcompress.reporting.sweep import Sweep
from rlcompress.reporting.tables import Row

_PAGE = ("#f7f8fa", "#0f1215")
_RESULTS_AT = 1
"""Tables come after so many figures."""

_FONTS = (
    "--font: system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif;"
    " --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace;"
)
# A page without an icon makes a browser ask for one.
_ICON = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E%3Cpath d='M0 5h2v3H0z' fill='%23747b86'/%3E%3Cpath d='M3 3h2v5H3z' fill='%232368b0'/%3E%3Cpath d='M6 0h2v8H6z' fill='%23c9560b'/%3E%3C/svg%3E"  # noqa: E501


@dataclass(frozen=True)
class Content:
    """Everything that a page shows."""

    title: str
    sweep: Sweep
    table: Sequence[Row]
    pictures: Sequence[Picture]
    skipped: Sequence[Skipped]
    command: str
    version: str


def render(content: Content) -> str:
    """The page."""
    sections = [_picture(picture, number) for number, picture in enumerate(content.pictures)]
    sections.insert(_RESULTS_AT, _results(content))
    if not any(picture.key == "latency" for picture in content.pictures):
        sections.append(_no_probe(content))
    sections.append(
        _section("made-from", "Commands and environment", blocks.origins(content.sweep))
    )
    if content.skipped:
        named = _section("skipped", "Skipped inputs", blocks.skipped(content.skipped))
        sections.insert(_RESULTS_AT + 1, named)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="rlcompress {escape(content.version)}">
<title>{escape(content.title)}</title>
<link rel="icon" href="{_ICON}">
<style>
{_variables()}
{resources.files(__package__).joinpath("page.css").read_text()}</style>
</head>
<body>
<header class="top">
<h1>{escape(content.title)}</h1>
<p class="lead">{escape(blocks.summary(content.sweep, content.skipped))}</p>
<div class="legend" aria-hidden="true"><span><i class="dense"></i>dense</span>
<span><i class="pruned"></i>pruned, stronger is sparser</span>
<span><i class="quantised"></i>quantised</span>
<span><i class="binary"></i>binary</span></div>
{blocks.cards(content.sweep, content.table)}
{_navigation(content)}
</header>
<main>
{"".join(sections)}
</main>
<footer>Made with <code>{escape(content.command)}</code>, rlcompress {escape(content.version)}.
The figures lie beside this page as SVG and PNG, its numbers as <code>results.jsonl</code> and
<code>statistics.jsonl</code>.</footer>
</body>
</html>
"""


def _variables() -> str:
    light = "".join(f"--{name}: {pair[0]};" for name, pair in COLOURS.items())
    dark = "".join(f"--{name}: {pair[1]};" for name, pair in COLOURS.items())
    return (
        f":root {{ color-scheme: light dark; {_FONTS} --page: {_PAGE[0]}; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ --page: {_PAGE[1]}; {dark} }} }}"
    )


def _navigation(content: Content) -> str:
    links = [(picture.key, picture.title) for picture in content.pictures]
    links.insert(_RESULTS_AT, ("results", "Results"))
    if content.skipped:
        links.insert(_RESULTS_AT + 1, ("skipped", "Skipped inputs"))
    links.append(("made-from", "Commands"))
    return "<nav>" + "".join(f'<a href="#{k}">{escape(t)}</a>' for k, t in links) + "</nav>"


def _section(key: str, title: str, body: str) -> str:
    return f'<section id="{key}"><h2>{escape(title)}</h2>{body}</section>\n'


def _results(content: Content) -> str:
    return _section("results", "Results", blocks.results(content.sweep, content.table))


def _picture(picture: Picture, number: int) -> str:
    figures = "".join(
        f"<figure>{panel_svg(panel, f'f{number}p{place}')}</figure>"
        for place, panel in enumerate(picture.panels)
    )
    caption = f'<p class="caption">{escape(picture.caption)}</p>'
    return _section(picture.key, picture.title, f'{caption}<div class="panels">{figures}</div>')


def _no_probe(content: Content) -> str:
    example = content.sweep.runs[-1].path
    return _section(
        "latency",
        "Latency",
        '<p class="caption">None of these runs has been probed. This measures one of them, and the '
        "next report shows it:</p>"
        f"<pre>python -m rlcompress.probe run={escape(str(example))}</pre>",
    )
