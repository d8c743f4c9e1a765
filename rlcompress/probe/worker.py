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
from pathlib import Path
from typing import IO, Any

from rlcompress.probe.measure import calls_for, time_calls
from rlcompress.probe.messages import Answer, Loaded, LoadRequest, Refused, TimeRequest
from rlcompress.probe.registry import Runner, Unavailable


class Session:
    """What a worker holds between requests: a runner, its arguments and the calls of a round."""

    def __init__(self) -> None:
        self._runner: Runner | None = None
        self._arguments: list[Any] = []
        self._calls = 0
        self._entered = ExitStack()

    def answer(self, message: LoadRequest | TimeRequest) -> Answer:
        """Do what a request asks for."""
        if isinstance(message, TimeRequest):
            assert self._runner is not None, "time comes after load"
            # Another process has had the caches since the last round.
            time_calls(self._runner.call, self._arguments, max(3, self._calls // 10))
            return time_calls(self._runner.call, self._arguments, self._calls)
        try:
            return self._load(message)
        except Exception as error:
            return _refusal(error, message.backend)

    def _load(self, message: LoadRequest) -> Loaded:
        from rlcompress.probe.backends import BACKENDS
        from rlcompress.probe.gate import argument_of, batches, check

        self._runner, self._arguments = None, []
        self._entered.close()
        backend, subject, request = BACKENDS[message.backend], message.subject, message.request
        before = _memory()
        runner = backend.load(subject, request)
        after = _memory()
        self._entered.enter_context(runner.context())
        error = check(runner, backend, subject, request)
        timed_on = subject.timed_on
        self._arguments = [
            argument_of(runner, timed_on[rows]) for rows in batches(len(timed_on), request.batch)
        ]
        self._calls = calls_for(runner.call, self._arguments, message.spec)
        self._runner = runner
        return Loaded(error, None if before is None or after is None else after - before)


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
    traceback.print_exc(file=sys.stderr)
    return Refused("failed", f"{type(error).__name__}: {reason}")


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
