"""What the size benchmark says of files, and the limits that files of policies keep."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from rlcompress.artifact import entropy_bytes
from rlcompress.bench import size
from rlcompress.bench.networks import NETWORKS, Case, make_policy
from rlcompress.bench.size import row_of


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["size", *words])
    return size.main()


@pytest.mark.parametrize(
    ("network", "sparsity"),
    [("hopper", 0.5), ("hopper", 0.9), ("hopper", 0.98), ("hopper", 0.99), ("swimmer", 0.99)],
)
def test_weights_are_near_their_entropy_and_parts_add_up(network: str, sparsity: float) -> None:
    policy = make_policy(Case(network, sparsity, "erdos_renyi")).policy
    row = row_of(network, policy, 1)
    assert row["entropy_bytes"] == round(sum(entropy_bytes(op.weight) for op in policy.linears))
    assert 1.0 <= row["weight_ratio"] <= 1.25
    assert row["weight_ratio"] < min(row["bitmap_ratio"], row["csr_ratio"])
    parts = ("weight_bytes", "bias_bytes", "program_bytes", "frame_bytes")
    assert sum(row[part] for part in parts) == row["policy_bytes"]
    bare = policy.__class__(policy.ops, policy.observation, policy.action)
    assert row["policy_bytes"] == len(bare.to_bytes())
    kept = sum(int(np.count_nonzero(op.weight)) for op in policy.linears)
    assert row["bitmap_bytes"] >= kept + row["weights"] // 8
    assert row["csr_bytes"] > 5 * kept


def test_99_percent_of_hopper_fits_3_kilobytes_of_c() -> None:
    row = row_of("hopper", make_policy(Case("hopper", 0.99, "erdos_renyi")).policy, 1)
    assert row["c_bytes"] <= 3000 and row["sparsity"] == pytest.approx(0.99, abs=1e-4)


def test_bounds_of_biases_by_hand() -> None:
    # Two signs of one magnitude: a bit each, and the bits below the leading one.
    assert size._bound(np.int32([5, -5, 5, -5])) == pytest.approx(4 * (1 + 2) / 8)
    assert size._bound(np.int32([0, 0])) == 0.0
    assert size._bound(np.int32([1, 0])) == pytest.approx(2 / 8)
    assert size._bound(np.float32([1.0, 1.5])) == pytest.approx(2 * 23 / 8)
    assert size._bound(np.float32([1.0, -1.5])) == pytest.approx(2 * 24 / 8)


def test_every_network_of_the_experiments_is_known() -> None:
    controls = {"hopper", "swimmer", "halfcheetah", "walker2d", "ant", "humanoid"}
    assert controls | {"nature_cnn", "impala_resnet"} <= set(NETWORKS)


def test_the_command_measures_networks_and_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_policy(Case("swimmer", 0.9, "uniform")).policy.save(tmp_path / "mine.rlc")
    words = ["network=hopper", "sparsity=0.95", f"policies={tmp_path}/*.rlc", "loads=1"]
    assert run(monkeypatch, *words, f"out={tmp_path / 'rows.json'}") == 0
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [(row["network"], row["sparsity"]) for row in rows] == [("mine", 0.9), ("hopper", 0.95)]
    assert all(row["load_ms"] > 0 for row in rows)
    assert "Bytes of .rlc files" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("network=atari", "network must be one of hopper"),
        ("sparsity=1.5", "sparsity"),
        ("loads=0", "loads must be at least 1"),
    ],
)
def test_wrong_requests_are_one_line(
    word: str, said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, word) == 2
    err = capfd.readouterr().err
    assert said in err and err.count("\n") == 1
