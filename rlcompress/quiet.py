"""What other libraries write to the terminal that the command line's one line says already."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, TextIO


class Stderr:
    """stderr without argparse's usage and hydra's announcement of an error printed already."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Pass on what is not said elsewhere."""
        if text.startswith(("Error executing job with overrides", "usage: ")):
            return len(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def writers_are_silent() -> Iterator[None]:
    """Leave it to the run to report a full disk or the like.

    TensorBoard's writing thread keeps what it met for the run's next write, which raises it.
    """
    before = threading.excepthook

    def hook(met: threading.ExceptHookArgs) -> None:
        if not issubclass(met.exc_type, OSError):
            before(met)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
