"""Starts, asks and ends the worker processes, one per backend; knows no backend."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import TracebackType

from rlcompress.probe.messages import Answer, Message, PaceRequest, Refused
from rlcompress.probe.registry import Isa
from rlcompress.probe.worker import send

PATIENCE_S = 600.0
"""How long a worker may take for one answer (torch.compile may take minutes)."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# Each library has a switch of its own; onnxruntime has none.
_AVX2 = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENBLAS_CORETYPE": "HASWELL",
}


class Worker:
    """One process that runs one backend after another subject."""

    def __init__(self, isa: Isa, threads: int) -> None:
        environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads))}
        if isa == "avx2":
            environment |= _AVX2
        cores = [str(core) for core in own_cores(threads)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rlcompress.probe.worker", *cores],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )

    def ask(self, message: Message) -> Answer:
        """The worker's answer; one that dies or stays silent has ``failed``."""
        assert self._process.stdin is not None and self._process.stdout is not None
        # A paced loop takes as long as was asked for.
        patience_s = PATIENCE_S + (message.seconds if isinstance(message, PaceRequest) else 0.0)
        with self._watched(patience_s) as silent:
            try:
                send(self._process.stdin, message)
                answer: Answer = pickle.load(self._process.stdout)
            except (EOFError, OSError, pickle.UnpicklingError):
                code = self._process.wait()
                why = f"gave no answer in {patience_s:.0f} s" if silent else f"ended with {code}"
                return Refused("failed", f"its process {why}")
        return answer

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    @contextlib.contextmanager
    def _watched(self, patience_s: float) -> Iterator[list[bool]]:
        """Kill the process when it takes too long; the list is then not empty."""
        silent: list[bool] = []

        def give_up() -> None:
            silent.append(True)
            self._process.kill()

        timer = threading.Timer(patience_s, give_up)
        timer.start()
        try:
            yield silent
        finally:
            timer.cancel()


class Workers:
    """The workers of a comparison, one per backend and instruction set, kept for more subjects."""

    def __init__(self) -> None:
        self._workers: dict[tuple[str, Isa, int], Worker] = {}

    def worker(self, backend: str, isa: Isa, threads: int) -> Worker:
        """The backend's worker, started where there is none (any more)."""
        key = backend, isa, threads
        worker = self._workers.get(key)
        if worker is None or not worker.alive:
            worker = self._workers[key] = Worker(isa, threads)
        return worker

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers.values():
            worker.close()


def own_cores(count: int) -> list[int]:
    """The last cores that this process may use; the first ones have the system's other work."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    return sorted(os.sched_getaffinity(0))[-count:]
