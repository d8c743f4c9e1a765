"""Measures backends against each other on one policy, in turns; starts them through processes."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from rlcompress.probe.backends import BACKENDS
from rlcompress.probe.measure import Measurement, MeasureSpec
from rlcompress.probe.messages import Loaded, LoadRequest, Refused, TimeRequest
from rlcompress.probe.processes import Worker, Workers
from rlcompress.probe.registry import Request
from rlcompress.probe.subject import Subject


@dataclass(frozen=True)
class Comparison:
    """Backends measured in turns on one policy, and those that were not, with the reason."""

    measured: dict[str, Measurement] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)

    @property
    def best_peer(self) -> Measurement | None:
        """The fastest of those that are not this package's own, by median."""
        peers = [m for name, m in self.measured.items() if not BACKENDS[name].ours]
        return min(peers, key=lambda measurement: measurement.p50_us, default=None)


def backend_names(names: Sequence[str] = ()) -> tuple[str, ...]:
    """The backends asked for, checked; all but the optional ones where none are.

    Raises:
        ValueError: for an unknown name, with the nearest.
    """
    for name in names:
        if name not in BACKENDS:
            near = get_close_matches(name, BACKENDS, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise ValueError(f"unknown backend {name!r}{hint} (known: {', '.join(BACKENDS)})")
    return tuple(names) or tuple(name for name, one in BACKENDS.items() if not one.optional)


def compare(
    subject: Subject,
    names: Sequence[str],
    *,
    workers: Workers,
    request: Request | None = None,
    spec: MeasureSpec | None = None,
) -> Comparison:
    """Measure the named backends in rounds, every round in another order."""
    request, spec = request or Request(), spec or MeasureSpec()
    result = Comparison()
    ready: dict[str, tuple[Worker, Loaded]] = {}
    for name in names:
        worker = workers.worker(name, request.isa, request.threads)
        answer = worker.ask(LoadRequest(name, subject, request, spec))
        if isinstance(answer, Loaded):
            ready[name] = worker, answer
        else:
            assert isinstance(answer, Refused)
            result.refused[name] = answer
    for name, rounds in _take_turns(ready, spec.rounds, result.refused).items():
        backend, loaded = BACKENDS[name], ready[name][1]
        result.measured[name] = Measurement(
            backend=name,
            what=backend.what,
            batch=request.batch,
            threads=request.threads,
            latency_us=np.stack(rounds) / 1e3,
            machine=processor(),
            error=loaded.error,
            memory_bytes=loaded.memory_bytes,
        )
    return result


def _take_turns(
    ready: dict[str, tuple[Worker, Loaded]], rounds: int, refused: dict[str, Refused]
) -> dict[str, list[np.ndarray]]:
    samples: dict[str, list[np.ndarray]] = {name: [] for name in ready}
    for number in range(rounds):
        names = list(samples)
        start = number % len(names) if names else 0
        for name in names[start:] + names[:start]:
            answer = ready[name][0].ask(TimeRequest())
            if isinstance(answer, np.ndarray):
                samples[name].append(answer)
            else:
                assert isinstance(answer, Refused)
                refused[name] = answer
                del samples[name]
    return samples


def processor() -> str:
    """Name of this machine's processor, as far as it is known."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
