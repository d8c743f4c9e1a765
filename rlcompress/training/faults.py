"""What went wrong outside the program, in one line that also says what is kept."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Iterator

from rlcompress.sb3.environments import EnvironmentFault
from rlcompress.training.directory import RunDirectory
from rlcompress.training.errors import TrainingStopped
from rlcompress.training.store import Store


@contextlib.contextmanager
def explained(directory: RunDirectory) -> Iterator[None]:
    """Turn an environment's fault and a file system's refusal into ``TrainingStopped``."""
    try:
        yield
    except EnvironmentFault as error:
        if error.__cause__ is not None:
            with contextlib.suppress(OSError):
                text = "".join(traceback.format_exception(error.__cause__))
                (directory.path / "error.txt").write_text(text)
        raise TrainingStopped(f"{error}; {_kept(directory)}") from error
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = f"[Errno {error.errno}] {error.strerror}" if error.strerror else str(error)
        place = os.fsdecode(error.filename) if error.filename else str(directory.path)
        raise TrainingStopped(f"{place}: {reason}; {_kept(directory)}") from error


def _kept(directory: RunDirectory) -> str:
    paths = Store(directory.checkpoints).paths()
    if not paths:
        return "there is no checkpoint yet"
    step = int(paths[0].stem)
    return f"the checkpoint of step {step} is kept, {directory.how_to_resume}"
