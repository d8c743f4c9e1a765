"""Break-even rows: one per layer shape, each timed alone."""

from __future__ import annotations

import numpy as np
import pytest

from rlcompress.bench.break_even import break_even
from rlcompress.probe.measure import MeasureSpec
from rlcompress.runtime.engine import available_isas
from tests.policies import random_policy

SPEC = MeasureSpec(rounds=2, round_s=0.001, warm_up_s=0.001)


@pytest.mark.skipif(not available_isas(), reason="the native engine was not built")
@pytest.mark.parametrize("kind", ["conv", "residual", "mlp"])
def test_every_integer_layer_has_a_row(kind: str) -> None:
    policy = random_policy(np.random.default_rng(2), kind, sparsity=0.5, bits=(8, 8))
    rows = break_even([policy, policy], SPEC, "native")
    expected = {"x".join(map(str, op.weight.shape)) for op in policy.linears if op.integer}
    named = {row["layer"].removeprefix("conv ").split(" on ")[0] for row in rows}
    assert named == expected and len(rows) >= len(expected)
    for row in rows:
        assert row["dense_us"] >= 0 and row["isa"] == "native"
        assert row["break_even_sparsity"] is None or 0 < row["break_even_sparsity"] < 1


def test_float_policies_have_none() -> None:
    policy = random_policy(np.random.default_rng(0), "mlp_float")
    assert break_even([policy], SPEC, "native") == []
