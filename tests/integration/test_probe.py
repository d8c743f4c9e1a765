"""The probe of a trained run and of its zip."""

from __future__ import annotations

import json
import logging
import shutil
import sys

import pytest

from rlcompress.probe import __main__ as probe
from tests.integration.test_report import Outline, report_main

QUICK = ("rounds=2", "round_s=0.002", "warm_up_s=0.002", "rates=100", "control_s=0.05")


@pytest.fixture
def run(monkeypatch):
    def command(*words):
        monkeypatch.setattr(sys, "argv", ["probe", *words])
        return probe.main()

    yield command
    # Hydra leaves handlers behind that write to this test's captured output.
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.WARNING)


@pytest.fixture
def own_run(small_run, tmp_path):
    """A copy of the shared run: the probe leaves its results in the directory."""
    shutil.copytree(small_run, tmp_path / "run")
    return tmp_path / "run"


def test_a_run_is_timed_on_what_its_policy_meets(run, own_run):
    words = ("backends=engine,engine_reuse,sb3_predict,cuda_eager", "stream=12", "samples=false")
    assert run(f"run={own_run}", *QUICK, *words) == 0
    record = json.loads((own_run / "probe.json").read_text())
    assert record["subject"]["env_id"] == record["subject"]["name"] == "Pendulum-v1"
    assert record["subject"]["variant"] == "quantised"
    assert record["notes"][0] == (
        "timed on 12 consecutive observations of the policy playing Pendulum-v1"
    )
    ratios = {(row["backend"], row["level"]): row["ratio"] for row in record["rows"]}
    assert ratios["engine", "policy"] == 1.0
    # SB3's predict takes a hundred times as long: no measurement is that noisy.
    assert ratios["sb3_predict", "policy"] > 5
    assert ("engine_reuse", "kernel") in ratios
    if record["machine"]["gpu"] is None:
        assert any("no NVIDIA GPU here" in note for note in record["notes"])
        assert {row["backend"] for row in record["refused"]} == {"cuda_eager"}
    assert {row["backend"] for row in record["control"]} == {"nothing", "engine", "sb3_predict"}
    assert {row["form"] for row in record["forms"]} >= {"sb3_zip", "rlc", "c_data"}
    assert (own_run / "probe.png").exists()
    assert not (own_run / "probe_samples.npz").exists()


def test_the_report_shows_what_the_probe_found(run, own_run):
    words = ("backends=engine,numpy_float,sb3_predict", "level=policy", "stream=12")
    assert run(f"run={own_run}", *QUICK, *words, "control=[]", "samples=false") == 0
    assert report_main(f"runs={own_run}", "resamples=200") == 0
    page = (own_run / "report" / "report.html").read_text()
    assert {"latency", "return_vs_latency"} <= set(Outline(page).sections)
    assert "None of these runs has been probed" not in page
    drawn = (own_run / "report" / "figures" / "latency.svg").read_text()
    rows = json.loads((own_run / "probe.json").read_text())["rows"]
    assert {row["backend"] for row in rows} == {"engine", "numpy_float", "sb3_predict"}
    for row in rows:
        assert f">{row['backend'].replace('_', ' ')}<" in drawn
        assert f">{row['p50_us']:.3g} µs<" in drawn


def test_a_zip_is_frozen_first(run, small_run, tmp_path):
    out = tmp_path / "zip.json"
    words = ("backends=engine,torch_eager", "stream=0", "level=policy", "batch=1,3")
    assert run(f"run={small_run / 'actor.zip'}", f"out={out}", *QUICK, *words) == 0
    record = json.loads(out.read_text())
    assert record["subject"]["kind"] == "zip"
    assert {(row["backend"], row["batch"]) for row in record["rows"]} == {
        (name, batch) for name in ("engine", "torch_eager") for batch in (1, 3)
    }
    assert record["refused"] == []


def test_sb3_is_timed_without_our_fake_quantisation(small_run):
    from rlcompress.probe.torch_peers import _plain_model
    from rlcompress.quantization.state import spec_of
    from rlcompress.sb3.actors import actor_of
    from rlcompress.sb3.checkpoint import load

    zipped = small_run / "actor.zip"
    assert spec_of(actor_of(load(zipped)).root) is not None
    assert spec_of(actor_of(_plain_model(zipped)).root) is None
