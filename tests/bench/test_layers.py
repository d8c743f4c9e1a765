"""Where the engine's time goes: one row per op, whose times add up to the whole."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from rlcompress.bench import layers
from rlcompress.bench.layers import beginning, op_rows
from rlcompress.probe.measure import MeasureSpec
from rlcompress.runtime.engine import available_isas
from rlcompress.runtime.reference import Reference
from tests.policies import KINDS, random_policy

SPEC = MeasureSpec(rounds=2, round_s=0.001, warm_up_s=0.001)
needs_engine = pytest.mark.skipif(not available_isas(), reason="the native engine was not built")


@pytest.mark.parametrize("kind", KINDS)
def test_every_beginning_is_a_policy(kind: str) -> None:
    policy = random_policy(np.random.default_rng(1), kind)
    for count in range(len(policy.ops)):
        short = beginning(policy, count)
        short.validate()
        assert short.ops[:count] == policy.ops[:count]
        observation = np.zeros(policy.observation.shape, np.float32)
        if policy.observation.image:
            observation = observation.astype(np.uint8)
        assert Reference(short)(observation) == 0


@needs_engine
@pytest.mark.parametrize("kind", ["conv", "residual", "mlp"])
def test_every_op_has_a_row(kind: str) -> None:
    policy = random_policy(np.random.default_rng(2), kind, sparsity=0.5, bits=(8, 8))
    call, *rows = op_rows(policy, SPEC)
    assert call["op"] == "call"
    timed = [op for op in policy.ops if type(op).__name__ != "Flatten"]
    assert [row["op"] for row in rows] == [op.name for op in timed]
    for row, op in zip(rows, timed, strict=True):
        if hasattr(op, "weight"):
            places = op.output.size // op.output.shape[-1]
            assert row["products"] == np.count_nonzero(op.weight) * places
            assert row["density"] == round(np.count_nonzero(op.weight) / op.weight.size, 4)


@needs_engine
def test_a_dense_layer_takes_most_of_the_time(tmp_path, monkeypatch) -> None:
    out = tmp_path / "rows.json"
    words = ("network=humanoid", "sparsity=0", "rounds=3", "round_s=0.005", f"out={out}")
    monkeypatch.setattr(sys, "argv", ["layers", *words])
    assert layers.main() == 0
    rows = json.loads(out.read_text())["rows"]
    shares = {row["op"]: row["share"] for row in rows}
    # 376x256 and 256x256 of 166 144 products, the rest in 17 rows: no noise turns that round.
    assert sum(sorted(shares.values())[-2:]) > 0.5


@pytest.mark.parametrize(
    ("word", "said"),
    [("network=hoper", "network must be one of"), ("isa=sse9", "isa must be one of auto")],
)
def test_refusals(word, said, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["layers", word])
    assert layers.main() == 2
    assert said in capsys.readouterr().err
