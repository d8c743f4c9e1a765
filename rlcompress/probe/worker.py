"""The process in which one backend runs: ``python -m rlcompress.probe.worker``, over its pipes.

A process of its own keeps one runtime's threads, allocator and instruction-set limits away from the
others. Pickled requests come in on stdin, pickled answers go out on stdout; whatever libraries
print goes to stderr.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from rlcompress.probe.energy import Meters
from rlcompress.probe.measure import calls_to_fill, time_calls
from rlcompress.probe.messages import (
    Answer,
    Loaded,
    LoadRequest,
    Message,
    PaceRequest,
    Refused,
    Round,
    TimeRequest,
)
from rlcompress.probe.pace import Paced, pace
from rlcompress.probe.registry import Backend, Runner, Timed, Unavailable, What
from rlcompress.probe.subject import Subject


@dataclass(frozen=True)
class Level:
    """A level that is ready to be timed: its arguments and how many calls make a round."""

    timed: Timed
    arguments: list[Any]
    calls: int = 0

    def time(self, count: int) -> npt.NDArray[np.int64]:
        """Nanoseconds of each of ``count`` calls."""
        if self.timed.timer is not None:
            return self.timed.timer(self.arguments, count)
        return time_calls(self.timed.call, self.arguments, count)


class Session:
    """What a worker holds between requests: the loaded backend's levels and its meters."""

    def __init__(self) -> None:
        self._own: What = "policy"
        self._levels: dict[What, Level] = {}
        self._whole: tuple[Timed, list[Any]] | None = None
        self._meters = Meters()
        self._entered = ExitStack()

    def answer(self, message: Message) -> Answer:
        """Do what a request asks for."""
        if isinstance(message, TimeRequest):
            return self._time(self._levels[message.level or self._own])
        if isinstance(message, PaceRequest):
            return self._pace(message)
        try:
            return self._load(message)
        except Exception as error:
            return _refusal(error, message.backend)

    def _time(self, level: Level) -> Round:
        # Another process has had the caches since the last round.
        level.time(max(3, level.calls // 10))
        before = self._meters.read()
        taken = level.time(level.calls)
        return Round(taken, self._meters.spent(before, self._meters.read()))

    def _pace(self, message: PaceRequest) -> Paced:
        assert self._whole is not None, "a paced loop comes after load"
        timed, arguments = self._whole
        call = _nothing if message.empty else timed.call
        return pace(call, arguments, message.rate_hz, message.seconds)

    def _load(self, message: LoadRequest) -> Loaded:
        from rlcompress.probe.backends import BACKENDS
        from rlcompress.probe.gate import check

        self._levels, self._whole = {}, None
        self._entered.close()
        backend, subject, request = BACKENDS[message.backend], message.subject, message.request
        if subject.binary and not (backend.ours and backend.form == "policy"):
            raise Unavailable("does not run networks of single bits")
        self._own = backend.what
        self._meters = Meters(gpu=backend.device == "cuda")
        before = _memory()
        runner = backend.load(subject, request)
        after = _memory()
        self._entered.enter_context(runner.context())
        wanted = message.levels or (backend.what,)
        error = check(runner, backend, subject, request, wanted)
        for what in wanted:
            level = _level(runner, backend, what, subject, request.batch)
            if level is not None:
                calls = calls_to_fill(level.time, message.spec)
                self._levels[what] = replace(level, calls=calls)
        whole = _level(runner, backend, "policy", subject, request.batch)
        assert whole is not None
        self._whole = whole.timed, whole.arguments
        added = None if before is None or after is None else after - before
        return Loaded(error, tuple(self._levels), before, added)


def _level(
    runner: Runner, backend: Backend, what: What, subject: Subject, batch: int
) -> Level | None:
    from rlcompress.probe.gate import argument_of, batches

    timed = runner.at(what, backend.what)
    if timed is None:
        return None
    seen = subject.timed_on
    rows = batches(len(seen), batch)
    return Level(timed, [argument_of(timed, seen[row], single=runner.single) for row in rows])


def _nothing(observation: Any) -> None:
    return None


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer requests until the other side closes its end."""
    session = Session()
    while True:
        try:
            message = pickle.load(source)
        except EOFError:
            return
        send(sink, session.answer(message))


def send(sink: IO[bytes], message: object) -> None:
    """Write one message and see it off."""
    pickle.dump(message, sink, protocol=pickle.HIGHEST_PROTOCOL)
    sink.flush()


def pin(cores: list[int]) -> None:
    """Keep this process on these cores, where the system can."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def _refusal(error: Exception, name: str) -> Refused:
    from rlcompress.probe.backends import BACKENDS
    from rlcompress.probe.gate import WrongResult

    reason = " ".join(str(error).split())[:300]
    if isinstance(error, WrongResult):
        return Refused("wrong", reason)
    if isinstance(error, Unavailable):
        return Refused("absent", reason)
    if isinstance(error, ImportError):
        install = BACKENDS[name].install
        return Refused("absent", f"not installed ({install})" if install else reason)
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    return Refused("failed", f"{type(error).__name__}: {reason} ({where})")


def _memory() -> int | None:
    """Bytes of memory that this process holds, where the system says so."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Serve on this process's own pipes; the arguments are the cores to stay on, or none."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What libraries print must not end up among the answers.
    pin([int(core) for core in sys.argv[1:]])
    serve(sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
