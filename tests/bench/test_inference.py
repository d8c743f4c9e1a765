"""The inference benchmark from its command line to its rows."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlcompress import cli
from rlcompress.bench import inference
from rlcompress.bench.games import game_id, record
from rlcompress.bench.plan import make_plan
from rlcompress.bench.run import comparison_rows
from rlcompress.bench.settings import Settings
from rlcompress.probe.compare import Comparison
from rlcompress.probe.measure import Measurement
from rlcompress.probe.messages import Refused
from rlcompress.runtime.engine import available_isas
from tests.probe.subjects import subject_of

QUICK = ("rounds=2", "round_s=0.002", "warm_up_s=0.002")

Bench = Callable[..., int]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["inference", *words])
        return inference.main()

    yield run
    # Hydra leaves handlers behind that write to this test's captured output.
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.WARNING)


def rows_in(path: Path) -> list[dict[str, Any]]:
    content = json.loads(path.read_text())
    assert content["machine"]["clock_overhead_ns"] > 0
    rows: list[dict[str, Any]] = content["rows"]
    return rows


def settings(**fields: Any) -> Settings:
    defaults: dict[str, Any] = {
        "network": ["hopper"],
        "sparsity": [0.5],
        "allocation": ["uniform"],
        "agents": None,
        "weights": [],
        "games": [],
        "game_sparsity": 0.95,
        "backends": [],
        "peers": "trained",
        "isa": ["native"],
        "batch": [1],
        "break_even": False,
        "rounds": 1,
        "round_s": 0.1,
        "warm_up_s": 0.1,
        "seed": 0,
        "out": None,
    }
    return Settings(**{**defaults, **fields})


def test_cases_are_all_combinations() -> None:
    plan = make_plan(
        settings(
            network=["hopper", "humanoid"],
            sparsity=[0.0, 0.9],
            allocation=["uniform", "global"],
            isa=["native", "avx2"],
            batch=[1, 8],
        )
    )
    assert len(plan.requests) == 4
    cases = [(case.network, case.sparsity, case.allocation) for case in plan.cases]
    # Without pruning all allocations are the same.
    assert cases[:3] == [
        ("hopper", 0.0, "uniform"),
        ("hopper", 0.9, "uniform"),
        ("hopper", 0.9, "global"),
    ]
    assert len(cases) == 6


def test_zips_are_networks_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "walker.zip").write_bytes(b"never opened here")
    for agents in (tmp_path, tmp_path / "walker.zip"):
        plan = make_plan(settings(agents=str(agents)))
        sources = {case.network: case.source for case in plan.cases}
        assert sources == {"hopper": None, "walker": tmp_path / "walker.zip"}


def test_lists_are_written_as_people_write_them() -> None:
    words = [
        "network=hopper,nature_cnn",
        "seed=1",
        "batch=[1,2]",
        "games=",
        "-m",
        "backends=engine",
    ]
    assert inference.lists(words) == [
        "network=[hopper,nature_cnn]",
        "seed=1",
        "batch=[1,2]",
        "games=[]",
        "-m",
        "backends=[engine]",
    ]


@pytest.mark.skipif(not available_isas(), reason="the native engine was not built")
def test_rows_of_a_small_run(bench: Bench, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "rows.json"
    code = bench(
        "network=hopper",
        "sparsity=0.9",
        "allocation=global",
        "games=",
        "backends=engine,engine_dense,numpy_float,sb3_predict,deepsparse_int8",
        f"out={out}",
        *QUICK,
    )
    assert code == 0
    found = rows_in(out)
    rows = [row for row in found if "network" in row]
    assert {(row["sparsity"], row["allocation"]) for row in rows} == {(0.9, "global")}
    by_name = {row["backend"]: row for row in rows}
    ours = by_name["engine"]
    assert ours["batch"] == 1 and ours["error"] == 0.0 and ours["p50_us"] > 0
    assert ours["ratio_to_best_peer"] > 0 and ours["best_peer"] in ("numpy_float", "sb3_predict")
    assert ours["ratio_to_sb3"] >= ours["ratio_to_best_peer"] and "ratio_to_dense_int8" in ours
    assert "ratio_to_best_peer" not in by_name["numpy_float"]
    layers = [row for row in found if "layer" in row]
    assert {row["layer"] for row in layers} == {"256x256", "3x256"}
    text = capsys.readouterr().out
    assert "The engine against the best peer" in text and "pays from sparsity" in text
    assert "hopper at sparsity 0.9 (global, initial weights), batch 1, native" in text


@pytest.mark.skipif(not available_isas(), reason="the native engine was not built")
def test_artifact_and_game(bench: Bench, tmp_path: Path) -> None:
    pytest.importorskip("ale_py")
    artifact, out = tmp_path / "actor.rlc", tmp_path / "rows.json"
    subject_of("mlp").policy.save(artifact)
    code = bench(
        f"weights={artifact}",
        "network=",
        "games=Pong",
        "backends=engine,numpy_float",
        "break_even=false",
        f"out={out}",
        *QUICK,
    )
    assert code == 0
    rows = rows_in(out)
    assert {row["network"] for row in rows} == {"actor", "nature_cnn"}
    reused = [row for row in rows if row["backend"] == "engine_reuse"]
    assert len(reused) == 1 and reused[0]["game"] == "Pong"
    assert reused[0]["ratio_to_no_reuse"] > 0


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("network=hoper", "network must be one of hopper, .* did you mean 'hopper'"),
        ("sparsity=1.0", "sparsity must be in"),
        ("allocation=unifrom", "did you mean 'uniform'"),
        ("backends=engin", "unknown backend 'engin'; did you mean"),
        ("isa=sse", "isa must be 'native' or 'avx2', got 'sse'"),
        ("batch=0", "batch must be at least 1"),
        ("rounds=0", "rounds must be at least 1"),
        ("agents=nowhere", "agents must be an SB3 zip or a directory with some, got nowhere"),
        ("weights=nothing.rlc", "weights names a file that is not there"),
        ("netwrk=hopper", "did you mean network"),
    ],
)
def test_mistakes_are_one_line(word: str, said: str, bench: Bench, capfd: Any) -> None:
    assert bench(word) == cli.BAD_INPUT
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and re.search(said, lines[0])


def test_rows_of_what_was_refused() -> None:
    samples = Measurement("engine", "policy", 1, 1, np.full((2, 4), 2.0), "machine")
    peer = Measurement("numpy_float", "actor", 1, 1, np.full((2, 4), 8.0), "machine")
    result = Comparison(
        {"numpy_float": peer, "engine": samples},
        {"deepsparse_int8": Refused("absent", "not installed")},
    )
    rows = comparison_rows(result, {"network": "n"})
    assert [row["backend"] for row in rows] == ["engine", "numpy_float", "deepsparse_int8"]
    assert rows[0]["ratio_to_best_peer"] == 4.0 and rows[0]["p99_us"] is None
    assert rows[2]["note"] == "absent: not installed" and "p50_us" not in rows[2]


def test_peers_held_to_the_same_instructions_are_compared_apart() -> None:
    times = {"engine": 2.0, "onnxruntime_int8": 4.0, "openvino_int8": 10.0, "torch_eager": 30.0}
    result = Comparison(
        {
            name: Measurement(name, "policy", 1, 1, np.full((2, 4), t), "m")
            for name, t in times.items()
        }
    )
    ours = comparison_rows(result, {"isa": "avx2"})[0]
    assert ours["ratio_to_best_peer"] == 2.0 and ours["ratio_to_held_peer"] == 5.0
    assert "ratio_to_held_peer" not in comparison_rows(result, {"isa": "native"})[0]


def test_recorded_play_is_seeded_and_consecutive() -> None:
    pytest.importorskip("ale_py")
    assert game_id("Pong") == "PongNoFrameskip-v4" and game_id("ALE/Pong-v5") == "ALE/Pong-v5"
    first, second = record("Pong", 1, 12), record("Pong", 1, 12)
    assert first.shape == (12, 84, 84, 4) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)
    # Stacked frames move one place along from one observation to the next.
    np.testing.assert_array_equal(first[5][..., 1:], first[6][..., :-1])
    assert (first[5] != first[6]).any()
