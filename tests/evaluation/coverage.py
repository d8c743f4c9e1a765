"""How often runs that lose exactly the margin are called lossless: ``python -m`` prints a table.

By chance that is 2.5 % where an interval of 95 % holds what it says; percentile intervals of few
runs are too narrow and say it more often.
"""

from __future__ import annotations

import numpy as np

from rlcompress.evaluation.lossless import MARGIN, compare
from rlcompress.evaluation.resampling import Bootstrap

TRIALS, DEVIATION, HOW = 2_000, 0.1, Bootstrap(resamples=1_000)


def false_verdicts(runs: int) -> float:
    """The fraction of made-up experiments that end with ``lossless``."""
    generator = np.random.default_rng(runs)
    count = 0
    for _ in range(TRIALS):
        dense = 1.0 + DEVIATION * generator.standard_normal(runs)
        ours = 1.0 - MARGIN + DEVIATION * generator.standard_normal(runs)
        count += compare({"a": ours}, {"a": dense}, how=HOW).verdict == "lossless"
    return count / TRIALS


if __name__ == "__main__":
    for runs in (5, 10, 20, 50):
        print(
            f"{runs:3} runs each: {false_verdicts(runs):.1%} called lossless (2.5 % by its level)"
        )
