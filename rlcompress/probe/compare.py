"""Measures backends against each other on one policy, in turns; starts them through processes."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from rlcompress.probe.backends import BACKENDS
from rlcompress.probe.measure import Measurement, MeasureSpec
from rlcompress.probe.messages import Loaded, LoadRequest, PaceRequest, Refused, Round, TimeRequest
from rlcompress.probe.pace import Paced
from rlcompress.probe.processes import Worker, Workers
from rlcompress.probe.registry import LEVELS, Request, What
from rlcompress.probe.subject import Subject


@dataclass(frozen=True)
class Comparison:
    """Backends measured in turns on one policy, and those that were not, with the reason.

    ``measured`` holds each backend at its own level, or at the first of the levels asked for that
    it has; ``rows`` holds all levels.
    """

    measured: dict[str, Measurement] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    rows: list[Measurement] = field(default_factory=list)

    @property
    def best_peer(self) -> Measurement | None:
        """The fastest of those that are not this package's own, by median."""
        peers = [m for name, m in self.measured.items() if not BACKENDS[name].ours]
        return min(peers, key=lambda measurement: measurement.p50_us, default=None)

    def row(self, backend: str, what: What) -> Measurement | None:
        """One backend at one level, where it was measured."""
        found = (row for row in self.rows if (row.backend, row.what) == (backend, what))
        return next(found, None)


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
    levels: Sequence[What] = (),
) -> Comparison:
    """Measure the named backends in rounds, every round in another order.

    ``levels`` (): each at its own.
    """
    return Turns(subject, workers, request, spec, levels).measure(names)


class Turns:
    """Backends that were loaded for one policy and request, to be asked in turns."""

    def __init__(
        self,
        subject: Subject,
        workers: Workers,
        request: Request | None = None,
        spec: MeasureSpec | None = None,
        levels: Sequence[What] = (),
    ) -> None:
        for level in levels:
            if level not in LEVELS:
                raise ValueError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
        self._subject = subject
        self._workers = workers
        self._request = request or Request()
        self._spec = spec or MeasureSpec()
        self._levels = tuple(dict.fromkeys(levels))
        self._ready: dict[str, tuple[Worker, Loaded]] = {}
        self._refused: dict[str, Refused] = {}

    def measure(
        self, names: Sequence[str], tell: Callable[[str], object] = lambda _: None
    ) -> Comparison:
        """Load and time; ``tell`` hears what is being done."""
        for name in names:
            tell(f"loading {name}")
            self._load(name)
        samples = self._rounds(tell)
        result = Comparison(refused=self._refused)
        for (name, level), rounds in samples.items():
            measured = self._measurement(name, level, rounds)
            result.rows.append(measured)
            if level == BACKENDS[name].what or name not in result.measured:
                result.measured[name] = measured
        return result

    def pace(
        self, name: str, rate_hz: float, seconds: float, *, empty: bool = False
    ) -> Paced | None:
        """Run a loaded backend in a paced loop; None where it fails or was not loaded.

        ``empty``: its process runs the loop, but nothing in it.
        """
        if name not in self._ready:
            return None
        answer = self._ready[name][0].ask(PaceRequest(rate_hz, seconds, empty))
        return answer if isinstance(answer, Paced) else None

    @property
    def loaded(self) -> tuple[str, ...]:
        """Backends that have been loaded and have not failed since."""
        return tuple(self._ready)

    def _load(self, name: str) -> None:
        worker = self._workers.worker(name, self._request.isa, self._request.threads)
        message = LoadRequest(name, self._subject, self._request, self._spec, self._levels)
        answer = worker.ask(message)
        if isinstance(answer, Loaded):
            self._ready[name] = worker, answer
        else:
            assert isinstance(answer, Refused)
            self._refused[name] = answer

    def _rounds(self, tell: Callable[[str], object]) -> dict[tuple[str, What], list[Round]]:
        samples: dict[tuple[str, What], list[Round]] = {
            (name, level): []
            for name, (_, loaded) in self._ready.items()
            for level in loaded.levels
        }
        for number in range(self._spec.rounds):
            tell(f"round {number + 1} of {self._spec.rounds}")
            keys = list(samples)
            start = number * max(1, len(keys) // self._spec.rounds) % len(keys) if keys else 0
            for name, level in keys[start:] + keys[:start]:
                if name not in self._ready:
                    continue
                answer = self._ready[name][0].ask(TimeRequest(level))
                if isinstance(answer, Round):
                    samples[name, level].append(answer)
                    continue
                assert isinstance(answer, Refused)
                self._refused[name] = answer
                del self._ready[name]
                samples = {key: rounds for key, rounds in samples.items() if key[0] != name}
        return samples

    def _measurement(self, name: str, level: What, rounds: list[Round]) -> Measurement:
        loaded, calls = self._ready[name][1], sum(one.taken_ns.size for one in rounds)
        meters = {meter for one in rounds for meter in one.energy_uj}
        energy = {meter: sum(one.energy_uj[meter] for one in rounds) / calls for meter in meters}
        return Measurement(
            backend=name,
            what=level,
            batch=self._request.batch,
            threads=self._request.threads,
            latency_us=np.stack([one.taken_ns for one in rounds]) / 1e3,
            machine=processor(),
            error=loaded.error,
            memory_bytes=loaded.memory_bytes,
            memory_before_bytes=loaded.memory_before_bytes,
            energy_uj=energy or None,
        )


def processor() -> str:
    """Name of this machine's processor, as far as it is known."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
