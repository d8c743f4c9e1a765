"""The exceptions that end a run for a reason worth one line; nothing else."""

from __future__ import annotations

import signal


class TrainingStopped(RuntimeError):
    """The run cannot go on; the message says what was seen and what is kept."""


class HeldElsewhere(TrainingStopped, ValueError):
    """Another process runs in the directory; the message says which.

    In a sweep no failure: the run is somebody else's job, the others are still to be done.
    """

    code = 3
    """The exit code of a run alone: not wrong, to be asked for again when the other has ended."""


class Interrupted(KeyboardInterrupt):
    """A signal ended the run; the message says where it stands and how to go on.

    Not an ``Exception``: in a sweep it ends the jobs that have not started as well.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(f"{message} ({signal.Signals(number).name})")
        self._arguments = (number, message)
        self.code = 128 + number
        """The exit code that a shell gives to a process ended by this signal."""

    def __reduce__(self) -> tuple[type[Interrupted], tuple[int, str]]:
        """Travel between processes, from a worker to the sweep."""
        return Interrupted, self._arguments
