"""One process per run directory: a lock that the system releases when its holder dies."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rlcompress.training.errors import TrainingStopped

if sys.platform != "win32":  # Windows has no flock; there nothing guards a directory.
    import fcntl

NAME = ".lock"
"""Name of the file in the run directory; it says who holds the lock."""

_UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


def check_unlocked(directory: Path) -> None:
    """Raise ValueError where another process runs in ``directory``; create nothing."""
    path = directory / NAME
    if not path.exists():
        return
    with path.open("r+") as file:
        if not _acquire(file):
            raise ValueError(_taken(directory, file))


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock of ``directory``, which must exist.

    Raises:
        TrainingStopped: another process holds it.
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
    while True:
        file = path.open("a+")
        if not _acquire(file):
            message = _taken(directory, file)
            file.close()
            raise TrainingStopped(message)
        # The holder before may have removed the file between the two calls.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def _acquire(file: IO[str]) -> bool:
    """Whether the lock is ours now; also where the file system knows no locks."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    return True


def _taken(directory: Path, file: IO[str]) -> str:
    file.seek(0)
    holder = file.read().strip() or "another process"
    return (
        f"run directory {directory} is in use by {holder}; wait for it, or choose another "
        "hydra.run.dir"
    )
