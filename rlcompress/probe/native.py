"""The engine as backends: each instruction set, with reuse, and its dense int8 path."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rlcompress.artifact import AnyArray, CompressedPolicy
from rlcompress.probe.registry import (
    Load,
    Request,
    Runner,
    Timed,
    Timer,
    Unavailable,
    What,
    backend,
)
from rlcompress.probe.subject import Subject
from rlcompress.runtime.engine import Engine, available_isas

ISAS = ("avx512", "avx2", "neon", "portable")


@backend("engine", what="policy", form="policy", tolerance=0.0, ours=True)
def engine(subject: Subject, request: Request) -> Runner:
    """The engine as users call it: numpy observation in, numpy action out."""
    return _runner(subject.policy, request)


@backend("engine_reuse", what="policy", form="policy", tolerance=0.0, ours=True, optional=True)
def engine_reuse(subject: Subject, request: Request) -> Runner:
    """The engine that recomputes only what changed since the observation before."""
    return _runner(subject.policy, request, reuse=True)


@backend("engine_dense", what="policy", form="filled", tolerance=0.0, ours=True)
def engine_dense(subject: Subject, request: Request) -> Runner:
    """The engine on a network of the same shape without a zero: its own dense int8 path."""
    return _runner(subject.filled, request)


def _with_isa(isa: str) -> Load:
    def load(subject: Subject, request: Request) -> Runner:
        return _runner(subject.policy, request, isa=isa)

    return load


for _isa in ISAS:
    backend(
        f"engine_{_isa}", what="policy", form="policy", tolerance=0.0, ours=True, optional=True
    )(_with_isa(_isa))


def _runner(
    policy: CompressedPolicy, request: Request, *, isa: str | None = None, reuse: bool = False
) -> Runner:
    available = available_isas()
    if not available:
        raise Unavailable("rlcompress was installed without a C++ compiler")
    if isa is None:
        isa = "auto" if request.isa == "native" else request.isa
    if isa not in ("auto", *available):
        raise Unavailable(f"this machine has {', '.join(available)}, not {isa}")
    made = Engine(policy, threads=request.threads, isa=isa, reuse=reuse)
    levels: dict[What, Timed] = {"actor": Timed(made)}  # Its own form is numpy's.
    if hasattr(made, "time_runs"):
        levels["kernel"] = Timed(made, timer=_timer(made))
    return Runner(made, single=request.batch == 1, more=levels)


def _timer(engine: Engine) -> Timer:
    def timed(arguments: Sequence[AnyArray], count: int) -> npt.NDArray[np.int64]:
        rows = 1 if arguments[0].ndim == len(engine.policy.observation.shape) else len(arguments[0])
        stacked = np.stack(arguments).reshape(-1, *engine.policy.observation.shape)
        return np.array(engine.time_runs(stacked, rows, count), np.int64)

    return timed
