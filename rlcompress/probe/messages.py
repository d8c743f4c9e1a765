"""What a measuring process and its workers say to each other; pickled, so in a file of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from rlcompress.probe.measure import MeasureSpec
from rlcompress.probe.registry import Request
from rlcompress.probe.subject import Subject


@dataclass(frozen=True)
class LoadRequest:
    """Make a backend ready to run a subject, check it, warm it up."""

    backend: str
    subject: Subject
    request: Request
    spec: MeasureSpec


@dataclass(frozen=True)
class TimeRequest:
    """Time one round of what was loaded."""


@dataclass(frozen=True)
class Loaded:
    """Ready: the gate's largest error, and the memory that loading added."""

    error: float
    memory_bytes: int | None


@dataclass(frozen=True)
class Refused:
    """Not to be timed, and the reason in one line."""

    state: Literal["absent", "wrong", "failed"]
    reason: str


Samples: TypeAlias = npt.NDArray[np.int64]
Answer: TypeAlias = Loaded | Refused | Samples
