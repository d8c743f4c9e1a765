"""Carries out a probe's plan and gathers what it found in one record; prints and writes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from rlcompress.probe.backends import BACKENDS
from rlcompress.probe.compare import Turns
from rlcompress.probe.energy import why_no_package
from rlcompress.probe.gpu import gpu_names
from rlcompress.probe.measure import clock_overhead_ns
from rlcompress.probe.processes import Workers, own_cores
from rlcompress.probe.registry import Request
from rlcompress.probe.settings import Plan
from rlcompress.probe.sizes import forms
from rlcompress.probe.stream import played
from rlcompress.probe.subject import Subject
from rlcompress.probe.summary import REFERENCE, refused_of, rows_of

FORMAT = 1
NOTHING = "nothing"
"""Stands in rows of paced loops for a policy that takes no time: what the machine does alone."""

Tell = Callable[[str], object]
Samples = dict[str, npt.NDArray[np.uint32]]
"""Nanoseconds (rounds, calls) by ``backend.level.batch``."""


def probe(
    plan: Plan, machine: Mapping[str, Any], tell: Tell = lambda _: None
) -> tuple[dict[str, Any], Samples]:
    """The record of docs/probe.md, and the raw samples.

    ``machine`` describes it as far as the caller knows; ``tell`` hears what is being done.
    """
    notes = _machine_notes()
    tell("recording observations")
    stream, said = played(plan.source.policy, plan.settings.stream, plan.settings.seed)
    subject = plan.source.subject(stream)
    record: dict[str, Any] = {
        "format": FORMAT,
        "subject": plan.source.describe(),
        "machine": _machine(machine, plan),
        "settings": asdict(plan.settings),
        "reference": None,
        "rows": [],
        "refused": [],
        "control": [],
        "forms": forms(subject),
        "notes": [said, *notes],
    }
    samples: Samples = {}
    for request in plan.requests:
        samples |= _one_request(plan, subject, request, record, tell)
    if any(row["backend"] == REFERENCE for row in record["rows"]):
        record["reference"] = REFERENCE
    return record, samples


def _one_request(
    plan: Plan, subject: Subject, request: Request, record: dict[str, Any], tell: Tell
) -> Samples:
    """Measure every backend at one batch size; the first one is also run in paced loops."""
    names = [name for name in plan.backends if _sensible(name, subject, request, record)]
    # Processes of their own for every batch size, so that memory is what this one needs.
    with Workers() as workers:
        turns = Turns(subject, workers, request, plan.spec, plan.levels)
        result = turns.measure(names, tell)
        if request is plan.requests[0]:
            record["control"] = _control(plan, turns, tell)
    record["rows"] += rows_of(result)
    record["refused"] += refused_of(result, request.batch)
    return {
        f"{one.backend}.{one.what}.{one.batch}": _nanoseconds(one.latency_us) for one in result.rows
    }


def _control(plan: Plan, turns: Turns, tell: Tell) -> list[dict[str, Any]]:
    """Every rate: first a loop that does nothing, then the backends."""
    names = [name for name in plan.control if name in turns.loaded]
    rows = []
    for rate in plan.settings.rates if names else ():
        for name in (NOTHING, *names):
            tell(f"{name} at {rate:g} Hz")
            empty = name == NOTHING
            host = names[0] if empty else name
            paced = turns.pace(host, rate, plan.settings.control_s, empty=empty)
            if paced is None:
                tell(f"{host} ended in its loop at {rate:g} Hz: nothing is known of it there")
                continue
            rows.append({"backend": name, **paced.summary()})
    return rows


def _sensible(name: str, subject: Subject, request: Request, record: dict[str, Any]) -> bool:
    """Reuse means something on consecutive observations only; what does not is listed."""
    if name != "engine_reuse" or (subject.stream is not None and request.batch == 1):
        return True
    reason = "reuse needs consecutive observations, one at a time"
    row = {"backend": name, "batch": request.batch, "state": "absent", "reason": reason}
    record["refused"].append(row)
    return False


def _nanoseconds(latency_us: npt.NDArray[np.float64]) -> npt.NDArray[np.uint32]:
    return np.minimum(np.rint(latency_us * 1e3), np.iinfo(np.uint32).max).astype(np.uint32)


def _machine(machine: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    return {
        **machine,
        "gpu": next(iter(gpu_names()), None),
        "pinned_to": own_cores(plan.settings.threads),
        "clock_overhead_us": clock_overhead_ns() / 1e3,
    }


def _machine_notes() -> list[str]:
    notes = []
    if not gpu_names():
        names = [name for name, one in BACKENDS.items() if one.device == "cuda"]
        notes.append(f"no NVIDIA GPU here: {', '.join(names)} are not measured")
    reason = why_no_package()
    if reason is not None:
        notes.append(f"no energy figures: {reason}")
    load, cores = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, os.cpu_count() or 1
    if load > 0.5:
        notes.append(f"the machine was not idle at the start: load {load:.1f} on {cores} cores")
    return notes
