"""The probe from its command line to its files, on small policies."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rlcompress
from rlcompress import play
from rlcompress.artifact import CompressedPolicy
from rlcompress.cli import config_dir
from rlcompress.probe import __main__ as probe
from rlcompress.probe.measure import MeasureSpec
from rlcompress.probe.settings import Settings
from tests.probe.subjects import subject_of

QUICK = ("rounds=3", "round_s=0.002", "warm_up_s=0.002", "control_s=0.05", "stream=0")

Probe = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Probe]:
    def command(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["probe", *words])
        return probe.main()

    yield command
    # Hydra leaves handlers behind that write to this test's captured output.
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.WARNING)


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "some.rlc"
    subject_of("mlp").policy.save(path)
    return path


def test_everything_is_written(
    run: Probe, artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("backends=engine,numpy_float,sb3_predict", "control=engine,sb3_predict", "rates=200")
    assert run(f"run={artifact}", *QUICK, *words, "batch=1,4") == 0
    record = json.loads(artifact.with_name("some.probe.json").read_text())
    assert record["format"] == 1 and record["reference"] == "engine"
    assert record["subject"]["kind"] == "artifact"
    assert record["machine"]["packages"] and record["machine"]["clock_overhead_us"] > 0
    keys = {(row["backend"], row["level"], row["batch"]) for row in record["rows"]}
    for batch in (1, 4):
        assert {("engine", "policy", batch), ("numpy_float", "actor", batch)} <= keys
    assert {row["backend"] for row in record["refused"]} == {"sb3_predict"}
    assert [(row["backend"], row["ticks"]) for row in record["control"]] == [
        ("nothing", 10),
        ("engine", 10),
    ]
    samples = np.load(artifact.with_name("some.probe_samples.npz"))
    for row in record["rows"]:
        taken = samples[f"{row['backend']}.{row['level']}.{row['batch']}"]
        assert taken.shape[0] == 3 and taken.size == row["samples"]
        assert np.median(taken) / 1e3 == pytest.approx(row["p50_us"], rel=1e-3)
        assert sum(row["histogram"]["counts"]) == row["samples"]
    assert artifact.with_name("some.probe.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "batch 4" in printed and "needs the SB3 zip" in printed and "200 Hz" in printed


def test_a_backend_that_is_wrong_has_no_times(run: Probe, tmp_path: Path) -> None:
    policy = subject_of("mlp").policy
    assert policy.golden is not None
    golden = replace(policy.golden, actions=policy.golden.actions[::-1].copy())
    wrong = CompressedPolicy(policy.ops, policy.observation, policy.action, golden, policy.meta)
    path, out = tmp_path / "wrong.rlc", tmp_path / "wrong.json"
    wrong.save(path)
    assert run(f"run={path}", f"out={out}", *QUICK, "backends=engine", "rates=[]") == 0
    record = json.loads(out.read_text())
    assert record["rows"] == [] and record["reference"] is None
    assert [row["state"] for row in record["refused"]] == ["wrong"]
    assert not out.with_suffix(".png").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "run is missing"),
        (["run=nowhere"], "run=nowhere does not exist"),
        (["run={artifact}", "backends=engin"], "unknown backend 'engin'; did you mean engine"),
        (["run={artifact}", "control=engin"], "unknown backend 'engin'"),
        (["run={artifact}", "level=brain"], "level must be one of policy, actor, kernel"),
        (["run={artifact}", "batch=0"], "batch must be at least 1, got 0"),
        (["run={artifact}", "batch=[]"], "batch must name at least one"),
        (["run={artifact}", "threads=0"], "threads must be at least 1, got 0"),
        (["run={artifact}", "isa=sse"], "isa must be 'native' or 'avx2'"),
        (["run={artifact}", "rounds=0"], "rounds must be at least 1, got 0"),
        (["run={artifact}", "round_s=0"], "round_s must be positive"),
        (["run={artifact}", "rates=0"], "rates must be from 0.1 to 1000000 Hz, got 0"),
        (["run={artifact}", "control_s=-1"], "control_s must be above 0"),
        (["run={artifact}", "stream=-1"], "stream must be at least 0"),
        (["run={artifact}", "out=x.txt"], "out must end in .json"),
        (["run={artifact}", "out=/no/such/x.json"], "there is no directory /no/such"),
        (["run={artifact}", "rouns=3"], "did you mean rounds"),
    ],
)
def test_a_wrong_request(
    run: Probe,
    artifact: Path,
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(*(word.format(artifact=artifact) for word in words)) == 2
    captured = capsys.readouterr().err
    assert said in captured
    assert captured.startswith("error: ") and captured.count("\n") == 1


@pytest.mark.parametrize(("name", "schema"), [("probe", Settings), ("play", play.Settings)])
def test_help_explains_every_key(name: str, schema: type[Any]) -> None:
    text = (config_dir() / "hydra" / "help" / f"{name}.yaml").read_text()
    for field in fields(schema):
        assert re.search(rf"\b{field.name}=", text), field.name
    assert max(map(len, text.splitlines())) <= 104  # Hydra takes two off.


def test_measure_as_a_function(artifact: Path) -> None:
    spec = MeasureSpec(rounds=2, round_s=0.002, warm_up_s=0.002)
    found = rlcompress.measure(artifact, ("engine", "numpy_float"), spec=spec)
    slow, fast = found.measured["numpy_float"], found.measured["engine"]
    assert slow.what == fast.what == "policy" and slow.ratio_to(fast) > 0
    again = rlcompress.measure(
        CompressedPolicy.load(artifact), ("engine",), levels=("actor",), spec=spec
    )
    assert [row.what for row in again.rows] == ["actor"]
    with pytest.raises(ValueError, match="unknown backend 'engin'"):
        rlcompress.measure(artifact, ("engin",))
    with pytest.raises(ValueError, match="level must be one of"):
        rlcompress.measure(artifact, ("engine",), levels=("brain",))  # type: ignore[arg-type]
