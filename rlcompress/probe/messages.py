"""What a measuring process and its workers say to each other; pickled, so in a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from rlcompress.probe.measure import MeasureSpec
from rlcompress.probe.pace import Paced
from rlcompress.probe.registry import Request, What
from rlcompress.probe.subject import Subject


@dataclass(frozen=True)
class LoadRequest:
    """Make a backend ready to run a subject, check it, warm it up; ``levels`` () is its own."""

    backend: str
    subject: Subject
    request: Request
    spec: MeasureSpec
    levels: tuple[What, ...] = ()


@dataclass(frozen=True)
class TimeRequest:
    """Time one round of what was loaded, at ``level`` (None: the backend's own)."""

    level: What | None = None


@dataclass(frozen=True)
class PaceRequest:
    """Run what was loaded in a paced loop; ``empty``: run nothing, to see the machine alone."""

    rate_hz: float
    seconds: float
    empty: bool = False


@dataclass(frozen=True)
class Loaded:
    """Ready: the gate's largest error, the levels there are, the memory before and after."""

    error: float
    levels: tuple[What, ...]
    memory_before_bytes: int | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Round:
    """One round's samples, and the energy it took by meter (empty: no meter here)."""

    taken_ns: npt.NDArray[np.int64]
    energy_uj: Mapping[str, float]


@dataclass(frozen=True)
class Refused:
    """Not to be timed, and the reason in one line."""

    state: Literal["absent", "wrong", "failed"]
    reason: str


Message: TypeAlias = LoadRequest | TimeRequest | PaceRequest
Answer: TypeAlias = Loaded | Refused | Round | Paced
