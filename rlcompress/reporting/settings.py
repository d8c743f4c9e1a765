"""What the settings of runs mean to a comparison: which tell conditions apart, which compress."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rlcompress.reporting.run import Run

_NOT_A_CONDITION = frozenset(
    "env seed sparsity quant resume device threads eval_freq eval_episodes final_episodes "
    "parity_observations checkpoint_freq checkpoint_every draw_every board_every isa trunks".split()
)
_COMPRESSION = frozenset("variant allocation criterion extra_fraction extra_timesteps".split())
_COMPRESSION_TABLES = ("pruning", "quantisation")
"""Settings that dense runs do not share with what is measured by them, beside ``sparsity``."""


def is_compression(key: str) -> bool:
    """Whether a setting says how to compress or how long to train, not how."""
    first, last = key.split(".")[0], key.split(".")[-1]
    return key in _COMPRESSION or first in _COMPRESSION_TABLES or last == "total_timesteps"


def varying(runs: Sequence[Run]) -> list[str]:
    """Overrides that differ between the runs of one environment, what names a condition apart."""
    seen: dict[str, set[str]] = defaultdict(set)
    keys = {key for run in runs for key in run.overrides}
    for run in runs:
        for key in keys:
            seen[key].add(run.overrides.get(key, ""))
    return sorted(
        key
        for key, values in seen.items()
        if len(values) > 1 and key not in _NOT_A_CONDITION and not key.startswith("hydra")
    )
