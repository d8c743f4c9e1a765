import json
import os
import socket

import pytest

from rlcompress.training.lock import locked
from rlcompress.training.sweep_status import read_status


def job(sweep, name, *, begun=True):
    directory = sweep / name
    directory.mkdir(parents=True)
    if begun:
        (directory / ".hydra").mkdir()
        (directory / ".hydra" / "config.yaml").write_text("env: x\n")
    return directory


def finish(directory, seconds):
    (directory / "summary.json").write_text("{}")
    start = (directory / ".hydra" / "config.yaml").stat().st_mtime
    os.utime(directory / "summary.json", (start, start + seconds))


def test_every_state_is_told_apart(tmp_path):
    finish(job(tmp_path, "a/0"), 60)
    stopped = job(tmp_path, "a/1")
    rows = [json.dumps({"step": step}) + "\n" for step in (100, 200)]
    (stopped / "eval.jsonl").write_text("".join(rows) + '{"step": 3')
    failed = job(tmp_path, "b/0", begun=False)
    (failed / "error.txt").write_text("Traceback\n  somewhere\nValueError: sparsity is too high\n")
    running = job(tmp_path, "b/1")
    (tmp_path / "trunks" / "x" / ".hydra").mkdir(parents=True)
    (tmp_path / ".submitit" / "1" / ".hydra").mkdir(parents=True)
    with locked(running):
        found = read_status(tmp_path, expected=6)
    assert [j.path.name for j in found.jobs] == ["0", "1", "0", "1"]
    assert [j.state for j in found.jobs] == ["done", "stopped", "failed", "running"]
    assert found.of("stopped")[0].step == 200
    assert found.of("failed")[0].reason == "ValueError: sparsity is too high"
    assert found.of("running")[0].reason == f"process {os.getpid()} on {socket.gethostname()}"
    assert found.left == 2
    # One running job, half done; two left, one to resume, one to try again.
    assert found.seconds_left() == pytest.approx(60 * 4.5)


def test_a_job_that_failed_and_was_started_again_is_running(tmp_path):
    again = job(tmp_path, "0")
    (again / "error.txt").write_text("no space\n")
    with locked(again):
        assert read_status(tmp_path).jobs[0].state == "running"


def test_no_time_is_guessed_where_nothing_is_known(tmp_path):
    job(tmp_path, "0")
    found = read_status(tmp_path)
    assert found.seconds_left() is None
    assert found.left == 0


def test_a_file_is_no_sweep(tmp_path):
    with pytest.raises(ValueError, match="is no directory"):
        read_status(tmp_path / "nothing")
