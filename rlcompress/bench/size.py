"""What ``.rlc`` files take, part by part, against bitmap, CSR and what entropy would allow.

Entry point ``python -m rlcompress.bench.size``. Encodings are the artifact's; networks come from
``networks``, trained policies from files.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rlcompress import cli
from rlcompress.bench.inference import lists

if TYPE_CHECKING:
    from rlcompress.artifact import AnyArray, CompressedPolicy

Row = dict[str, Any]

COLUMNS = {
    "network": "network",
    "sparsity": "sparsity",
    "kept": "kept",
    "entropy_bytes": "entropy",
    "weight_bytes": "weights",
    "weight_ratio": "ratio",
    "bitmap_ratio": "bitmap",
    "csr_ratio": "CSR",
    "bias_bound_bytes": "bound",
    "bias_bytes": "biases, scales",
    "program_bytes": "program",
    "frame_bytes": "frame",
    "policy_bytes": "whole",
    "policy_ratio": "to both bounds",
    "c_bytes": "C data",
    "load_ms": "load, ms",
}


@dataclass
class Settings:
    """Names as on the command line; lists may be given as ``a,b``."""

    network: list[str]
    sparsity: list[float]
    allocation: str
    policies: list[str]
    loads: int
    seed: int
    out: str | None


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at the request; returns the measurement."""
    from rlcompress.bench.networks import NETWORKS
    from rlcompress.spec import PruneSpec

    for name in settings.network:
        if name not in NETWORKS:
            raise ValueError(f"network must be one of {', '.join(NETWORKS)}, got {name!r}")
    for sparsity in settings.sparsity:
        PruneSpec(sparsity, allocation=settings.allocation)
    if settings.loads < 1:
        raise ValueError(f"loads must be at least 1, got {settings.loads}")
    from rlcompress.bench.format_policies import find

    paths = find(settings.policies)
    return lambda: measure(settings, paths)


def measure(settings: Settings, paths: list[Any]) -> None:
    """Measure all policies, print the table and write the rows."""
    from rlcompress.bench.rows import report

    rows = [
        row_of(name, policy, settings.loads) for name, policy in named_policies(settings, paths)
    ]
    report("Bytes of .rlc files, golden observations and metadata apart", rows,
           columns=COLUMNS, out=settings.out)  # fmt: skip


class Asked(Protocol):
    """What settings say of the policies that they ask for."""

    network: list[str]
    sparsity: list[float]
    allocation: str
    seed: int


def named_policies(settings: Asked, paths: list[Any]) -> Iterator[tuple[str, CompressedPolicy]]:
    """Policies in files, then those that are made of a network and a sparsity, each with a name."""
    from rlcompress.artifact import CompressedPolicy
    from rlcompress.bench.networks import Case, make_policy

    for path in paths:
        name = path.name if path.is_dir() else path.stem
        yield name, CompressedPolicy.load(path / "actor.rlc" if path.is_dir() else path)
    for network in settings.network:
        for sparsity in settings.sparsity:
            case = Case(network, sparsity, settings.allocation, seed=settings.seed)
            yield network, make_policy(case).policy


def row_of(name: str, policy: CompressedPolicy, loads: int) -> Row:
    """Everything that is measured of one policy; ratios are to the entropy of its weights.

    ``policy_ratio`` is the file's bytes over the bounds of weights, biases and scales together.
    """
    from rlcompress.artifact.writer import write_program
    from rlcompress.bench.networks import sparsity_of
    from rlcompress.export.c_source import to_c

    size = policy.size
    program = len(write_program(policy)[0])
    stored = sum(layer.weight_bytes + layer.bias_bytes for layer in size.layers)
    bound = sum(_bound(op.bias) + _bound(op.multiplier) for op in policy.linears)
    entropy = size.entropy_bytes
    bitmap, csr = _bitmap_and_csr(policy)
    return {
        "network": name,
        "sparsity": round(sparsity_of(policy), 4),
        "weights": size.weights,
        "kept": size.kept,
        "entropy_bytes": round(entropy),
        "weight_bytes": size.weight_bytes,
        "weight_ratio": round(size.weight_bytes / entropy, 4),
        "bitmap_bytes": bitmap,
        "bitmap_ratio": round(bitmap / entropy, 3),
        "csr_bytes": csr,
        "csr_ratio": round(csr / entropy, 3),
        "bias_bound_bytes": round(bound),
        "bias_bytes": sum(layer.bias_bytes for layer in size.layers),
        "program_bytes": program - stored,
        "frame_bytes": size.policy_bytes - program,
        "policy_bytes": size.policy_bytes,
        "policy_ratio": round(size.policy_bytes / (entropy + bound), 3),
        "golden_bytes": size.golden_bytes,
        "meta_bytes": size.meta_bytes,
        "c_bytes": sum(to_c(policy, "policy").data_bytes.values()),
        "load_ms": round(_load_ms(policy, loads), 2),
    }


def _bitmap_and_csr(policy: CompressedPolicy) -> tuple[int, int]:
    """Bytes of masks as bitmaps or as CSR with 32-bit indices, values as they are in memory."""
    bitmap = csr = 0
    for op in policy.linears:
        rows, columns = op.matrix.shape
        kept = int(np.count_nonzero(op.matrix))
        bitmap += (rows * columns + 7) // 8 + kept * op.weight.itemsize
        csr += 4 * (rows + 1) + kept * (4 + op.weight.itemsize)
    return bitmap, csr


def _bound(values: AnyArray) -> float:
    """Bytes that biases or scales need where all but their magnitudes is noise.

    That is the empirical entropy of sign and magnitude (the power of two below), and every bit
    under the leading one: 23 of a float32, as many as there are of an integer.
    """
    if values.dtype == np.float32:
        raw = np.ascontiguousarray(values).view(np.uint32)
        classes, below = raw >> 23, 23.0 * raw.size
    else:
        # The power of two below each magnitude, exactly: these are integers below 2^31.
        lengths = np.frexp(np.abs(values.astype(np.float64)))[1]
        classes, below = 2 * lengths + (values < 0), float(np.maximum(lengths - 1, 0).sum())
    counts = np.unique(classes, return_counts=True)[1]
    shares = counts / counts.sum()
    return float(below - values.size * (shares * np.log2(shares)).sum()) / 8


def _load_ms(policy: CompressedPolicy, loads: int) -> float:
    """Median time to make a policy of its file's bytes, checks included."""
    data, times = policy.to_bytes(), []
    for _ in range(loads):
        start = time.perf_counter()
        policy.from_bytes(data)
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times))


def main() -> int:
    """Run the entry point; returns the exit code."""
    sys.argv[1:] = lists(sys.argv[1:], Settings)
    return cli.run(cli.EntryPoint("bench_size", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
