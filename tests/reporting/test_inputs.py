"""What is found, what is skipped and why it says so."""

from __future__ import annotations

import json

import pytest

from rlcompress.reporting.inputs import read_runs
from rlcompress.reporting.run import parse_overrides
from tests.reporting.forge import write_run


def reasons(inputs):
    return {item.name: item.reason for item in inputs.skipped}


def test_one_run_is_a_report_of_one(tmp_path):
    write_run(tmp_path / "run", sparsity=0.5, quant="true")
    inputs = read_runs(str(tmp_path / "run"))
    (run,) = inputs.runs
    assert (run.name, run.final, run.sparsity, run.seed) == ("run", "quantised", 0.5, 0)
    assert run.overrides["quant"] == "true"
    assert inputs.skipped == ()


def test_runs_are_found_at_any_depth_in_the_order_of_their_numbers(tmp_path):
    for name in ("a/10", "a/9", "b/c/1"):
        write_run(tmp_path / name)
    inputs = read_runs(str(tmp_path))
    assert [run.name for run in inputs.runs] == ["a/9", "a/10", "b/c/1"]
    assert [run.name for run in read_runs(f"{tmp_path}/a/*").runs] == ["9", "10"]


def test_a_run_that_played_nothing_is_skipped(tmp_path):
    """A compression of recorded observations, for one."""
    write_run(tmp_path / "good")
    run = write_run(tmp_path / "logs")
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, "rows": []}))
    assert reasons(read_runs(str(tmp_path))) == {
        "logs": "it played no episodes: there are no returns to compare"
    }


def test_what_cannot_be_used_is_named(tmp_path):
    write_run(tmp_path / "good")
    unfinished = write_run(tmp_path / "unfinished")
    (unfinished / "summary.json").unlink()
    failed = write_run(tmp_path / "failed")
    (failed / "summary.json").unlink()
    (failed / "error.txt").write_text("Traceback\nRuntimeError: out of memory\n")
    fresh = tmp_path / "fresh"
    (fresh / "checkpoint").mkdir(parents=True)
    (tmp_path / "foreign" / "deeper").mkdir(parents=True)
    (tmp_path / "foreign" / "deeper" / "notes.txt").write_text("not a run")
    broken = write_run(tmp_path / "broken")
    (broken / "summary.json").write_text('{"env": ')
    other = write_run(tmp_path / "other")
    (other / "summary.json").write_text('{"env": "Hopper-v4"}')
    found = read_runs(str(tmp_path))
    assert [run.name for run in found.runs] == ["good"]
    said = reasons(found)
    assert said["unfinished"] == "unfinished: its last evaluation is at step 12,000"
    assert said["failed"] == "failed: RuntimeError: out of memory"
    assert said["fresh"] == "unfinished: it has evaluated nothing yet"
    assert said["foreign"].startswith("not a run")
    assert said["broken"].startswith("summary.json cannot be read")
    assert said["other"].startswith("summary.json is not a run's: KeyError")
    assert len(said) == 6


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_returns_that_are_not_numbers(value, tmp_path):
    write_run(tmp_path / "good")
    final = write_run(tmp_path / "final", seed=1)
    text = (final / "summary.json").read_text()
    start = text.index('"return_mean": ') + len('"return_mean": ')
    (final / "summary.json").write_text(text[:start] + value + text[text.index(",", start) :])
    during = write_run(tmp_path / "during", seed=2)
    row = f'{{"env": "Hopper-v4", "variant": "dense", "step": 3000, "return": {value}}}\n'
    with open(during / "eval.jsonl", "a") as file:
        file.write(row)
    found = read_runs(str(tmp_path))
    assert [run.name for run in found.runs] == ["good"]
    said = reasons(found)
    assert said["final"].startswith("its return is ")
    assert said["final"].endswith("(dense, last)")
    assert said["during"].endswith("at step 3,000")


def test_evaluations_cut_off_in_the_middle_of_a_line(tmp_path):
    write_run(tmp_path / "good")
    killed = write_run(tmp_path / "killed")
    (killed / "summary.json").unlink()
    rows = (killed / "eval.jsonl").read_bytes()
    (killed / "eval.jsonl").write_bytes(rows[:-30])
    assert reasons(read_runs(str(tmp_path)))["killed"].startswith("unfinished: its evaluations end")


def test_an_earlier_report_is_no_input(tmp_path):
    write_run(tmp_path / "0")
    (tmp_path / "report" / "figures").mkdir(parents=True)
    (tmp_path / "report" / "report.html").write_text("")
    assert read_runs(str(tmp_path)).skipped == ()


def test_nothing_to_report_on_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="matches nothing"):
        read_runs(str(tmp_path / "none"))
    with pytest.raises(ValueError, match="holds no finished run"):
        read_runs(str(tmp_path))
    run = write_run(tmp_path / "run")
    (run / "summary.json").unlink()
    with pytest.raises(ValueError, match=r"no finished run \(run: unfinished"):
        read_runs(str(tmp_path))


def test_overrides_of_a_command():
    found = parse_overrides(
        "python -m rlcompress.train env=Hopper-v4 'skip=[a,b]' +x=1\nsecond y=2\n"
    )
    assert found == {"env": "Hopper-v4", "skip": "[a,b]", "x": "1"}
    assert parse_overrides("") == {}
    assert parse_overrides("an 'open quote a=1") == {"a": "1"}
