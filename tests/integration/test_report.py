"""The report of real and of forged runs, through the command line's own path."""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
from html.parser import HTMLParser

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlcompress import report
from tests.integration.runs import SMALL, train_main
from tests.reporting.forge import write_sweep

FIGURES = (
    "return_vs_sparsity",
    "return_vs_bytes",
    "learning_curves",
    "aggregates",
    "quantisation",
    "layers",
    "schedule",
)


def report_main(*arguments):
    before, sys.argv = sys.argv, ["report", *(str(word) for word in arguments)]
    try:
        return report.main()
    finally:
        sys.argv = before
        logging.getLogger().handlers.clear()


class Outline(HTMLParser):
    """What a page refers to, and which sections it has."""

    def __init__(self, text):
        super().__init__()
        self.sections, self.references, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.tags.append(tag)
        if tag == "section":
            self.sections.append(named["id"])
        self.references += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v]


@pytest.fixture(scope="module")
def forged(tmp_path_factory):
    """A report of 50 forged runs and of four inputs that cannot be used."""
    directory = write_sweep(tmp_path_factory.mktemp("forged"))
    (directory / "7" / "summary.json").unlink()
    text = (directory / "8" / "summary.json").read_text()
    (directory / "8" / "summary.json").write_text(
        re.sub(r'"return_mean": [^,]+', '"return_mean": NaN', text)
    )
    (directory / "my <notes>").mkdir()
    assert report_main(f"runs={directory}", "resamples=200") == 0
    return directory


def test_the_page_needs_nothing_else(forged):
    outline = Outline((forged / "report" / "report.html").read_text())
    assert all(ref.startswith(("#", "data:")) for ref in outline.references)
    assert not {"script", "iframe", "link rel=stylesheet"} & set(outline.tags)
    anchors = {ref[1:] for ref in outline.references if ref.startswith("#") and ref[1:2] != "f"}
    assert anchors <= set(outline.sections)


def test_every_figure_is_on_the_page_and_in_both_files(forged):
    outline = Outline((forged / "report" / "report.html").read_text())
    assert set(FIGURES) <= set(outline.sections)
    for key in FIGURES:
        assert (forged / "report/figures" / f"{key}.svg").read_text().rstrip().endswith("</svg>")
        assert (forged / "report/figures" / f"{key}.png").read_bytes().startswith(b"\x89PNG")


def test_skipped_inputs_are_named(forged, capfd):
    page = (forged / "report" / "report.html").read_text()
    assert "<code>7</code><br>unfinished" in page
    assert "<code>8</code><br>its return is nan" in page
    assert "<code>my &lt;notes&gt;</code><br>not a run" in page
    assert "48 runs" in page
    assert (
        report_main(f"runs={forged}", f"out={forged}/report", "files=false", "resamples=200") == 0
    )
    said = capfd.readouterr().out
    assert "skipped 7: unfinished" in said
    assert "skipped my <notes>: not a run" in said


def test_the_same_runs_give_the_same_report(forged, tmp_path):
    for name in ("a", "b"):
        assert (
            report_main(f"runs={forged}", f"out={tmp_path / name}", "resamples=200", "files=false")
            == 0
        )
    pages = [(tmp_path / n / "report.html").read_text().replace(f"/{n} ", "/ ") for n in "ab"]
    assert pages[0].replace(f"{tmp_path}/a", "") == pages[1].replace(f"{tmp_path}/b", "")


def test_the_numbers_lie_beside_the_page(forged):
    lines = (forged / "report" / "statistics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    lossy = [r for r in rows if r["label"] == "0.98, quantised" and r["env"] == "Hopper-v4"]
    assert {row["comparison"]["verdict"] for row in lossy} == {"lossy"}
    assert {row["checkpoint"] for row in rows} == {"last", "best"}
    runs = (forged / "report" / "results.jsonl").read_text().splitlines()
    assert len(runs) == 2 * 48


def test_one_real_run(small_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    assert report_main(f"runs={run}", "resamples=200") == 0
    outline = Outline((run / "report" / "report.html").read_text())
    wanted = {"learning_curves", "masks", "quantisation", "layers", "schedule", "made-from"}
    assert wanted <= set(outline.sections)
    page = (run / "report" / "report.html").read_text()
    assert "seed=3" in page
    assert "stable-baselines3" in page
    assert "python -m rlcompress.probe" in page


def test_a_dense_run_alone(tmp_path):
    assert train_main(tmp_path / "run", *SMALL, "total_timesteps=120") == 0
    assert report_main(f"runs={tmp_path}/run", "resamples=200") == 0


def test_tensorboard_has_the_same_look(small_run):
    events = EventAccumulator(str(small_run), size_guidance={"images": 0, "tensors": 0})
    events.Reload()
    assert "report/learning_curve" in events.Tags()["images"]
    assert "custom_scalars__config__" in events.Tags()["tensors"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "runs is missing"),
        (("runs=nowhere",), "matches nothing"),
        (("runs=.", "level=2"), "level must be in (0, 1)"),
        (("run=x",), "did you mean runs"),
    ],
)
def test_a_wrong_request(arguments, said, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert report_main(*arguments) == 2
    err = capfd.readouterr().err
    assert said in err
    assert err.count("\n") == 1
