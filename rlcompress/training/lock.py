"""One process per run directory: a lock that the system releases when its holder dies."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rlcompress.training.errors import HeldElsewhere

if sys.platform != "win32":  # Windows has no flock; there nothing guards a directory.
    import fcntl

NAME = ".lock"
"""Name of the file in the run directory; it says who holds the lock."""

PATIENCE_S = 0.5
"""So long a lock that is taken is tried again: who only looks holds it for a moment."""

_UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


def check_unlocked(directory: Path) -> None:
    """Raise ``HeldElsewhere`` where another process runs in ``directory``; create nothing."""
    found = holder(directory)
    if found is not None:
        raise HeldElsewhere(_taken(directory, found))


def holder(directory: Path) -> str | None:
    """Who runs in ``directory`` ("process 12 on host"); None where nobody does."""
    try:
        with (directory / NAME).open() as file:
            return None if _acquire(file, shared=True) else _named(file)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock of ``directory``, which must exist.

    Raises:
        HeldElsewhere: another process holds it.
    """
    path = directory / NAME
    file = _open_locked(directory, path)
    try:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        file.close()


def _open_locked(directory: Path, path: Path) -> IO[str]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        file = path.open("a+")
        if not _acquire(file):
            message = _taken(directory, _named(file))
            file.close()
            if time.monotonic() > deadline:
                raise HeldElsewhere(message)
            time.sleep(PATIENCE_S / 20)
            continue
        # The holder before may have removed the file between the two calls.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def _acquire(file: IO[str], *, shared: bool = False) -> bool:
    """Whether the lock is ours now; also where the file system knows no locks.

    ``shared``: whoever else only looks may have it as well.
    """
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    return True


def _named(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or "another process"


def _taken(directory: Path, who: str) -> str:
    return (
        f"run directory {directory} is in use by {who}; wait for it, or choose another "
        "hydra.run.dir"
    )
