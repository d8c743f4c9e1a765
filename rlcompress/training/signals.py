"""Turns the signals that end a process into a request that training looks at between steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from rlcompress.training.errors import Interrupted

Handler = Callable[[int, Any], Any] | int | None

NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
"""Ctrl-C, ``kill`` and SLURM's pre-emption, and what ``sbatch --signal`` is mostly told to send."""


class StopRequest:
    """Whether a signal has asked the run to stop.

    The first signal is only noted, until ``let_go``; the second raises wherever it arrives.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.number: int | None = None
        self._immediate: str | None = None
        self._say = say
        self._before: dict[int, Handler] = {}

    def stop(self, message: str) -> None:
        """Raise ``Interrupted``, once who handled the signal before us has had it (a scheduler)."""
        assert self.number is not None
        number, handler = self.number, self._before.get(self.number)
        if callable(handler) and handler is not signal.default_int_handler:
            handler(number, None)
        raise Interrupted(number, message)

    def let_go(self, message: str) -> None:
        """From now on nothing is lost by stopping anywhere; stop here if that was asked."""
        self._immediate = message
        if self.number is not None:
            self.stop(message)

    def _receive(self, number: int, frame: Any) -> None:
        if self.number is not None:
            raise Interrupted(number, "stopped at once; the last checkpoint is kept")
        self.number = number
        if self._immediate is not None:
            self.stop(self._immediate)
        self._say("stopping: this step is finished and saved first (once more stops at once)")


@contextmanager
def caught_signals(say: Callable[[str], None]) -> Iterator[StopRequest]:
    """Handle the signals of ``NAMES`` by a ``StopRequest``; what handled them before comes back."""
    request = StopRequest(say)
    # Only the main thread may set handlers; elsewhere signals keep their meaning.
    if threading.current_thread() is threading.main_thread():
        # A signal may arrive while torch watches a call for Python to compile: not for this.
        receive = torch.compiler.disable(request._receive)  # type: ignore[no-untyped-call]
        for name in NAMES:
            number = getattr(signal, name, None)
            if number is not None:
                request._before[number] = signal.signal(number, receive)
    try:
        yield request
    finally:
        for number, handler in request._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
