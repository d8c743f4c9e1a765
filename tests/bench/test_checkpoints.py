"""The benchmark of checkpoints, from its command line to its row."""

import json
import logging
import sys

import pytest

from rlcompress.bench import checkpoints

SMALL = ("transitions=6000", "checkpoint_freq=100", "checkpoints=1", "steps=20")


@pytest.fixture
def bench(monkeypatch):
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["checkpoints", *words])
        return checkpoints.main()

    yield run
    # Hydra leaves handlers behind that write to this test's captured output.
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.WARNING)


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
def test_it_writes_checkpoints_of_a_full_buffer(bench, env, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "RECORDED", 50)
    assert bench(f"env={env}", *SMALL, f"out={tmp_path}/rows.json") == 0
    (row,) = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert row["env"] == env
    # Two sets of 6000 transitions of at least 20 bytes, of which one was written anew: it is small.
    assert row["disk_mb"] > 2 * 6000 * 20 / 1e6
    assert 0 < row["written_mb"] < row["disk_mb"]


def test_refusals(bench, capsys):
    assert bench("checkpoints=0") == 2
    assert "checkpoints must be at least 1, got 0" in capsys.readouterr().err
