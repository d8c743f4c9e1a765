"""The exceptions that end a run for a reason worth one line; nothing else."""

import signal


class TrainingStopped(RuntimeError):
    """The run cannot go on; the message says what was seen and what is kept."""


class Interrupted(KeyboardInterrupt):
    """A signal ended the run; the message says where it stands and how to go on.

    Not an ``Exception``: in a sweep it ends the jobs that have not started as well.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(f"{message} ({signal.Signals(number).name})")
        self.code = 128 + number
        """The exit code that a shell gives to a process ended by this signal."""
