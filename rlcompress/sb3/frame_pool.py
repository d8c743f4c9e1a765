"""Numbered storage for frames of one shape; knows nothing of transitions or episodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_SPARE_STEP = 1024


class FramePool:
    """Frames by slot number. Slot 0 is the frame of zeros and is never given out.

    ``expected`` frames have their place from the start (memory that the system only commits when
    it is written to); beyond them a smaller array grows as needed, so that nothing large is ever
    copied.
    """

    def __init__(self, expected: int, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.shape = shape
        self._main = np.zeros((expected + 1, int(np.prod(shape))), dtype)
        self._spare = np.zeros((0, self._main.shape[1]), dtype)
        self._used = 1
        self._free: list[int] = []

    @property
    def nbytes(self) -> int:
        """Bytes of all frames that there is room for."""
        return self._main.nbytes + self._spare.nbytes

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame."""
        return int(self._main[0].nbytes)

    @property
    def live(self) -> int:
        """How many slots hold a frame that has not been released."""
        return self._used - 1 - len(self._free)

    def put(self, frame: NDArray[Any]) -> int:
        """Copy a frame in; returns its slot."""
        slot = self._free.pop() if self._free else self._grow()
        room, row = self._place(slot)
        room[row] = frame.reshape(-1)
        return slot

    def release(self, slots: Iterable[int]) -> None:
        """Give slots back; the zero frame is passed over."""
        self._free.extend(slot for slot in slots if slot)

    def take_(self, slots: NDArray[Any], out: NDArray[Any]) -> None:
        """Copy the frames of ``slots`` into ``out``, of shape ``slots.shape`` x frame size."""
        # With mode="raise" numpy would gather into a buffer first; the slots are our own.
        np.take(self._main, slots, axis=0, out=out, mode="clip")
        if len(self._spare):
            beyond = slots >= len(self._main)
            out[beyond] = self._spare[slots[beyond] - len(self._main)]

    def clear(self) -> None:
        """Release everything."""
        self._used = 1
        self._free = []

    def _grow(self) -> int:
        slot = self._used
        missing = slot + 1 - len(self._main) - len(self._spare)
        if missing > 0:
            step = max(_SPARE_STEP, len(self._spare) // 4)
            more = np.zeros((step, self._main.shape[1]), self._main.dtype)
            self._spare = np.concatenate([self._spare, more])
        self._used += 1
        return slot

    def _place(self, slot: int) -> tuple[NDArray[Any], int]:
        if slot < len(self._main):
            return self._main, slot
        return self._spare, slot - len(self._main)

    def state_dict(self) -> dict[str, Any]:
        """Which slots are in use; their frames are not part of it."""
        return {"used": self._used, "free": list(self._free)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give out slots from now on as the pool of ``state_dict()`` would have."""
        self._used, self._free = state["used"], list(state["free"])
        missing = self._used - len(self._main) - len(self._spare)
        if missing > 0:
            more = np.zeros((missing, self._main.shape[1]), self._main.dtype)
            self._spare = np.concatenate([self._spare, more])

    def frames(self, slots: NDArray[Any]) -> NDArray[Any]:
        """Copies of the frames of ``slots``, one row each."""
        found = np.empty((len(slots), self._main.shape[1]), self._main.dtype)
        self.take_(slots, found)
        return found

    def overwrite_(self, slots: NDArray[Any], frames: NDArray[Any]) -> None:
        """Write rows of ``frames`` into ``slots``, whoever has them."""
        for slot, frame in zip(slots.tolist(), frames, strict=True):
            room, row = self._place(slot)
            room[row] = frame

    def __getstate__(self) -> dict[str, Any]:
        """Only frames that were ever written are stored."""
        state = self.__dict__.copy()
        state["_main"] = self._main[: self._used]
        state["_expected"] = len(self._main)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        written, expected = state.pop("_main"), state.pop("_expected")
        self.__dict__.update(state)
        self._main = np.zeros((expected, written.shape[1]), written.dtype)
        self._main[: len(written)] = written
