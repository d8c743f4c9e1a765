"""``python -m rlcompress.sweep``: what it says of a sweep's directory."""

from __future__ import annotations

import logging
import os
import sys

import pytest
import yaml
from omegaconf import OmegaConf

from rlcompress import cli, sweep
from rlcompress.sweep_jobs import RecordCommand, asked_jobs, directory_keys
from rlcompress.training.lock import locked


@pytest.fixture
def ask(monkeypatch, capsys):
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["sweep", *words])
        code = sweep.main()
        said = capsys.readouterr()
        return code, said.out + said.err

    yield run
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.WARNING)


def job(directory):
    (directory / ".hydra").mkdir(parents=True)
    (directory / ".hydra" / "config.yaml").write_text("env: x\n")
    return directory


def test_what_is_done_running_failed_and_left(ask, tmp_path):
    overrides = ["+experiment=paper_mujoco", "budget=quick", "seed=0"]
    asked = {
        "sweeper": {"params": {"variant": "none,int8", "sparsity": "0,0.9,0.98", "env": "x"}},
        "overrides": {"task": overrides},
    }
    (tmp_path / "multirun.yaml").write_text(yaml.safe_dump({"hydra": asked}))
    done, failed = job(tmp_path / "0"), job(tmp_path / "2")
    (done / "summary.json").write_text("{}")
    start = (done / ".hydra" / "config.yaml").stat().st_mtime
    os.utime(done / "summary.json", (start, start + 600))
    (failed / "error.txt").write_text("Traceback\nValueError: [a] is too much\n")
    with locked(job(tmp_path / "1")):
        code, said = ask(f"status={tmp_path}")
    assert code == 0
    lines = said.splitlines()
    assert lines[0] == "1 done, 1 running, 1 failed, 0 stopped, 3 left of 6"
    # Three left, one to try again, and half of the one that runs.
    assert lines[1] == "about 45 min left at this pace"
    assert lines[2].startswith(f"running: {tmp_path / '1'} (process {os.getpid()} on ")
    assert lines[3] == f"failed: {failed}: ValueError: [a] is too much"
    assert lines[4].strip() == str(failed / "error.txt")


def command(*words, subdir="${variant}/${seed}", **params):
    asked = {"sweeper": {"params": params}, "overrides": {"task": list(words)}}
    return OmegaConf.create({"hydra": {**asked, "sweep": {"dir": "?", "subdir": subdir}}})


def test_every_command_of_a_folder_is_remembered(tmp_path):
    for config in (
        command("seed=0,1", "resume=true", variant="none,int8"),
        command("seed=0,2", variant="none"),
        command("seed=0,2", variant="none"),
    ):
        config.hydra.sweep.dir = str(tmp_path)
        RecordCommand().on_multirun_start(config)
    asked = [("none", 0), ("none", 1), ("int8", 0), ("int8", 1), ("none", 2)]
    assert sorted(map(sorted, asked_jobs(tmp_path))) == sorted(
        sorted((f"variant={variant}", f"seed={seed}")) for variant, seed in asked
    )
    assert len(list((tmp_path / ".commands").iterdir())) == 2


@pytest.mark.parametrize(
    ("templates", "keys"),
    [
        (["${env}/${hydra:runtime.choices.variant}/${seed}"], {"env", "variant", "seed"}),
        (["${sac.total_timesteps}"] * 2, {"sac.total_timesteps"}),
        (["${env}/${hydra:job.num}"], None),
        (["${env}", "${seed}"], None),
        (["alone"], None),
        ([None], None),
    ],
)
def test_settings_that_name_directories(templates, keys, tmp_path):
    for number, template in enumerate(templates):
        config = command(f"seed={number}", subdir=template)
        config.hydra.sweep.dir = str(tmp_path)
        RecordCommand().on_multirun_start(config)
    assert directory_keys(tmp_path) == keys


def test_a_record_of_words_alone_can_be_read(tmp_path):
    (tmp_path / ".commands").mkdir()
    (tmp_path / ".commands" / "a.json").write_text('["seed=0,1"]')
    assert len(asked_jobs(tmp_path)) == 2
    assert directory_keys(tmp_path) is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "status is missing"),
        (["status=nowhere"], "nowhere is no directory"),
        (["status=."], "holds no job"),
    ],
)
def test_wrong_requests_are_one_line(words, said, ask, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, line = ask(*words)
    assert code == cli.BAD_INPUT
    assert line.startswith("error: ") and said in line and line.count("\n") == 1


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(12, "12 s"), (60, "1 min"), (3600 * 5 + 120, "5 h 2 min"), (86400 * 3, "3 d")],
)
def test_lengths_of_time(seconds, said):
    assert sweep.duration(seconds) == said
