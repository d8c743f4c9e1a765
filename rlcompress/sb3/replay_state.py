"""Takes runs of transitions out of a replay buffer and puts them back; knows nothing of files.

A buffer is a ring: the transitions of vectorised step number n lie in row n modulo its size until
step n + size. So what changed since step n is known without looking, and old rows never change.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer

from rlcompress.sb3.replay import FrameReplayBuffer

Arrays = dict[str, NDArray[Any]]

_FRAMES = ("actions", "rewards", "dones", "timeouts", "slots")
_WHOLE = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def row_bytes(buffer: ReplayBuffer) -> int:
    """Bytes of one row of the buffer, about: one transition of each environment.

    It is the same as long as the buffer lives, however many frames it has come to hold.
    """
    size: int = sum(array[0].nbytes for array in _arrays(buffer).values())
    if isinstance(buffer, FrameReplayBuffer):
        size += buffer.n_envs * buffer.pool.frame_bytes
    return size


def take(buffer: ReplayBuffer, first: int, stop: int) -> Arrays:
    """Copies of the transitions of steps ``first`` to ``stop``, which must still be there."""
    rows = np.arange(first, stop) % buffer.buffer_size
    found = {name: array[rows] for name, array in _arrays(buffer).items()}
    if isinstance(buffer, FrameReplayBuffer):
        slots = np.unique(found["slots"])
        found["frame_slots"], found["frames"] = slots, buffer.pool.frames(slots)
    return found


def put_(buffer: ReplayBuffer, first: int, arrays: Arrays) -> None:
    """Write back what ``take`` gave for the steps from ``first`` on; oldest steps first."""
    rows = np.arange(first, first + len(arrays["actions"])) % buffer.buffer_size
    for name, array in _arrays(buffer).items():
        array[rows] = arrays[name]
    if isinstance(buffer, FrameReplayBuffer):
        # Frames of rows that are overwritten later may be wrong by then: their slots were reused,
        # and are overwritten as well.
        buffer.pool.overwrite_(arrays["frame_slots"], arrays["frames"])


def counters(buffer: ReplayBuffer) -> dict[str, Any]:
    """What is needed beside the transitions."""
    pool = buffer.pool.state_dict() if isinstance(buffer, FrameReplayBuffer) else None
    return {"pos": buffer.pos, "full": buffer.full, "pool": pool}


def begin_(buffer: ReplayBuffer, state: dict[str, Any]) -> None:
    """Prepare an empty buffer for transitions; ``state`` is from ``counters``."""
    buffer.pos, buffer.full = state["pos"], state["full"]
    if isinstance(buffer, FrameReplayBuffer):
        buffer.pool.load_state_dict(state["pool"])


def finish_(buffer: ReplayBuffer) -> None:
    """Make a buffer with all its transitions ready for more."""
    if isinstance(buffer, FrameReplayBuffer) and (buffer.full or buffer.pos > 0):
        buffer.continue_()


def _arrays(buffer: ReplayBuffer) -> Arrays:
    names = _FRAMES if isinstance(buffer, FrameReplayBuffer) else _WHOLE
    return {name: getattr(buffer, name) for name in names}
