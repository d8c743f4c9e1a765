"""Numbers too small for float32's full precision, taken as zero while an update runs.

Adam's second moment of a gradient of 1e-20 is such a number, and many processors take a hundred
times as long for one: an update of DQN took twice as long while nothing had been learned.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def smallest_as_zero() -> Iterator[None]:
    """Within, this thread takes numbers below 1.2e-38 as zero; also wraps functions.

    Not where torch computes with several threads: the others would go on with them, or not,
    depending on when they were started.
    """
    if torch.get_num_threads() > 1 or is_on():
        yield
        return
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def is_on() -> bool:
    """Whether this thread takes such numbers as zero now."""
    return float(_SMALL * 1) == 0.0


_SMALL = torch.tensor(1e-40)
