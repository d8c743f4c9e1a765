"""The report in a browser: no console messages, all figures there, nothing wider than the screen.

Debian's headless Chromium looks at the page through a frame as wide as a phone and as a desk, in
light and in dark, and a script beside the frame measures what it sees.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from PIL import Image

from tests.integration.test_report import FIGURES, report_main
from tests.reporting.forge import write_sweep

CHROMIUM = shutil.which("chromium")
MEASURE = """
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument, root = page.documentElement, shown = [];
  const limit = root.clientWidth + 0.5;
  const scrolls = e => e && (/auto|scroll/.test(frame.contentWindow.getComputedStyle(e).overflowX)
    || scrolls(e.parentElement));
  for (const e of page.body.querySelectorAll("*:not(svg *)"))
    if (e.getBoundingClientRect().right > limit && !scrolls(e))
      shown.push(e.outerHTML.slice(0, 80));
  const figures = [...page.querySelectorAll("figure svg")].map(svg => {
    const box = svg.getBoundingClientRect();
    return [svg.closest("section").id, box.width, box.height, svg.querySelectorAll("path").length];
  });
  const small = Math.min(...[...page.querySelectorAll("figure svg text")].map(
    text => text.getBoundingClientRect().height));
  const cut = [...page.querySelectorAll(".scroll")].filter(e => e.scrollWidth > e.clientWidth);
  document.querySelector("pre").textContent = JSON.stringify({
    width: root.clientWidth, content: root.scrollWidth, beyond: shown, figures, small,
    cut: cut.length,
    page: frame.contentWindow.getComputedStyle(page.body).backgroundColor,
  });
};
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium (tests/slow/install.sh)"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    directory = write_sweep(tmp_path_factory.mktemp("sweep") / ("a long name " * 8).strip())
    (directory / ("a_folder_that_is_not_a_run_" * 5)).mkdir()
    assert report_main(f"runs='{directory}'", "resamples=200", "files=false") == 0
    return directory / "report" / "report.html"


def look(page, tmp_path, width, *, dark):
    """What the browser measures in a frame of ``width``, its console, and a picture."""
    assert CHROMIUM is not None
    wrapper = tmp_path / "wrapper.html"
    # Chromium's own window is never narrower than 500 pixels; a frame in it is.
    wrapper.write_text(
        f'<body style="margin:0"><iframe src="{page.as_uri()}" style="border:0;width:{width}px;'
        f'height:3000px"></iframe><pre></pre><script>{MEASURE}</script>'
    )
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--allow-file-access-from-files",
        "--enable-logging=stderr",
        "--virtual-time-budget=10000",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--window-size={max(width, 500)},3000",
    ]
    shown = subprocess.run(
        [*command, "--dump-dom", wrapper.as_uri()], capture_output=True, text=True, check=True
    )
    picture = tmp_path / "picture.png"
    subprocess.run(
        [*command, f"--screenshot={picture}", wrapper.as_uri()], capture_output=True, check=True
    )
    found = re.search(r"<pre>(\{.*?\})</pre>", shown.stdout, re.S)
    assert found, shown.stdout[-2000:]
    console = [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">")), console, picture


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1400])
def test_the_page_in_a_browser(page, tmp_path, width, dark):
    seen, console, picture = look(page, tmp_path, width, dark=dark)
    assert console == []
    assert seen["width"] == width
    assert seen["content"] <= width, seen["beyond"]
    assert seen["beyond"] == []
    assert {figure[0] for figure in seen["figures"]} >= set(FIGURES)
    for name, wide, high, paths in seen["figures"]:
        assert 250 <= wide <= width, name
        assert high > 80, name
        assert paths > 3, name
    assert seen["small"] >= 8
    # Tables may scroll on a tablet; on a desk and, folded, on a phone they fit.
    assert width == 768 or seen["cut"] == 0
    image = Image.open(picture).convert("RGB")
    corner = image.getpixel((2, 2))
    assert (max(corner) < 60) == dark
    colours = {colour for _, colour in image.getcolors(2**24)}
    wanted = ((108, 173, 242), (255, 154, 77)) if dark else ((35, 104, 176), (201, 86, 11))
    assert colours >= set(wanted)
