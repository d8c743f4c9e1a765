"""Where the engine's time goes inside a network: every op's share of a call.

Entry point ``python -m rlcompress.bench.layers``. An op's time is that of the program up to it less
that of the program before it, both run whole in the engine, in turns; nothing is instrumented.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rlcompress import cli
from rlcompress.bench.inference import lists

if TYPE_CHECKING:
    from rlcompress.artifact import CompressedPolicy, TensorType

Row = dict[str, Any]

COLUMNS = {
    "network": "network",
    "sparsity": "sparsity",
    "op": "op",
    "kind": "kind",
    "output": "output",
    "density": "kept",
    "products": "products",
    "us": "us",
    "share": "share",
    "products_per_ns": "products / ns",
}


@dataclass
class Settings:
    """Names as on the command line; lists may be given as ``a,b``."""

    network: list[str]
    sparsity: list[float]
    allocation: str
    policies: list[str]
    isa: str
    rounds: int
    round_s: float
    seed: int
    out: str | None


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at the request; returns the measurement."""
    from rlcompress.bench.format_policies import find
    from rlcompress.bench.networks import NETWORKS
    from rlcompress.probe.measure import MeasureSpec
    from rlcompress.runtime.engine import available_isas
    from rlcompress.spec import PruneSpec

    for name in settings.network:
        if name not in NETWORKS:
            raise ValueError(f"network must be one of {', '.join(NETWORKS)}, got {name!r}")
    for sparsity in settings.sparsity:
        PruneSpec(sparsity, allocation=settings.allocation)
    if settings.isa != "auto" and settings.isa not in available_isas():
        known = ", ".join(("auto", *available_isas()))
        raise ValueError(f"isa must be one of {known}, got {settings.isa!r}")
    spec = MeasureSpec(rounds=settings.rounds, round_s=settings.round_s)
    paths = find(settings.policies)
    return lambda: _measure(settings, paths, spec)


def _measure(settings: Settings, paths: list[Any], spec: Any) -> None:
    from rlcompress.bench.networks import sparsity_of
    from rlcompress.bench.rows import report
    from rlcompress.bench.size import named_policies

    rows: list[Row] = []
    for name, policy in named_policies(settings, paths):
        labels = {"network": name, "sparsity": round(sparsity_of(policy), 4)}
        rows += [labels | row for row in op_rows(policy, spec, settings.isa)]
    title = f"Where the engine's time goes, isa={settings.isa}, one observation at a time"
    report(title, rows, columns=COLUMNS, out=settings.out)


def op_rows(policy: CompressedPolicy, spec: Any, isa: str = "auto") -> list[Row]:
    """One row per op that takes time, and one for what every call costs; ``us`` are medians.

    ``products`` are multiplications with weights that are not zero, and ``density`` the share of
    weights that are not.
    """
    programs = [beginning(policy, count) for count in range(len(policy.ops))]
    rounds = _round_medians_us([*programs, policy], spec, isa)
    # The middle of the rounds' differences: what slows the machine slows both.
    taken = np.median(np.diff(rounds, axis=0, prepend=0.0), axis=1)
    whole = float(np.median(rounds[-1]))
    rows: list[Row] = [{"op": "call", "kind": "observation in, output out", "us": taken[0]}]
    for op, us in zip(policy.ops, taken[1:], strict=True):
        row: Row = {"op": op.name, "kind": type(op).__name__.lower(), "us": us}
        row["output"] = "x".join(map(str, op.output.shape))
        weight = getattr(op, "weight", None)
        if weight is not None and weight.dtype != bool:
            kept = int(np.count_nonzero(weight))
            products = kept * op.output.size // op.output.shape[-1]
            row["density"], row["products"] = round(kept / weight.size, 4), products
            row["products_per_ns"] = round(products / max(us, 1e-3) / 1e3, 1)
        rows.append(row)
    for row in rows:
        row["share"] = round(float(row["us"]) / whole, 3)
        row["us"] = round(float(row["us"]), 3)
    return [row for row in rows if row["kind"] != "flatten"]


def beginning(policy: CompressedPolicy, count: int) -> CompressedPolicy:
    """The policy up to its op ``count``, ended by a layer that has a single weight."""
    from rlcompress.artifact import Action, CompressedPolicy, Flatten

    ops: list[Any] = list(policy.ops[:count])
    value = ops[-1].output if ops else policy.observation.value
    if len(value.shape) > 1:
        value = replace(value, shape=(value.size,))
        ops.append(Flatten("flatten.end", (len(ops),), value))
    ops.append(_end(value, len(ops)))
    return CompressedPolicy(tuple(ops), policy.observation, Action("argmax"))


def _end(value: TensorType, source: int) -> Any:
    from rlcompress.artifact import BinaryDense, Dense, TensorType

    zero, one = np.zeros(1, np.int32), np.ones(1, np.float32)
    if value.kind == "binary":
        return BinaryDense("end", (source,), TensorType((1,)), np.ones((1, value.size), bool), zero)
    weight = np.zeros((1, value.size), np.int8)
    weight[0, 0] = 1
    bias = zero.astype(np.float32) if value.kind == "float" else zero
    return Dense("end", (source,), TensorType((1,)), weight, one, bias)


def _round_medians_us(policies: Sequence[CompressedPolicy], spec: Any, isa: str) -> Any:
    """Median time of a call, (policies, rounds), of random observations in turns."""
    from rlcompress.probe.measure import calls_for, time_calls
    from rlcompress.runtime.engine import Engine

    engines = [Engine(policy, isa=isa) for policy in policies]
    observation = policies[0].observation
    rng = np.random.default_rng(0)
    given = rng.normal(size=observation.shape).astype(np.float32)
    if observation.image:
        given = rng.integers(0, 256, observation.shape).astype(np.uint8)
    counts = [calls_for(engine, [given], spec) for engine in engines]
    return np.array(
        [
            [
                float(np.median(time_calls(engine, [given], calls))) / 1e3
                for engine, calls in zip(engines, counts, strict=True)
            ]
            for _ in range(spec.rounds)
        ]
    ).T


def main() -> int:
    """Run the entry point; returns the exit code."""
    sys.argv[1:] = lists(sys.argv[1:], Settings)
    return cli.run(cli.EntryPoint("bench_layers", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
