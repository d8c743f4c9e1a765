"""What ``Engine`` builds on where there is no native module: the reference behind its interface."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from rlcompress.artifact.policy import CompressedPolicy
from rlcompress.artifact.records import AnyArray, FloatArray
from rlcompress.runtime.reference import Reference


def available_isas() -> list[str]:
    """Instruction sets that ``isa=`` takes; there are none without native code."""
    return []


class NativeEngine:
    """Stands in for the native class of the same name, many times slower."""

    isa = "numpy"
    break_even = 2**63 - 1

    def __init__(self, policy: CompressedPolicy, threads: int, isa: str, reuse: bool) -> None:
        if isa != "auto":
            raise ValueError(
                f"isa must be 'auto' where the native engine was not built, got {isa!r}; "
                "install rlcompress with a C++ compiler to get it"
            )
        _say_once()
        self._reference = Reference(policy)

    def __call__(self, observation: npt.ArrayLike, out: AnyArray | None = None) -> AnyArray:
        """Action of one observation, or actions of a batch."""
        return _delivered(self._reference(observation), out)

    def forward(self, observation: npt.ArrayLike, out: FloatArray | None = None) -> FloatArray:
        """Raw outputs (n, outputs)."""
        return _delivered(self._reference.forward(observation), out)


@functools.cache
def _say_once() -> None:
    warnings.warn(
        "rlcompress was installed without its native engine; Engine uses the numpy reference, "
        "which is exact but slow",
        stacklevel=4,
    )


def _delivered(result: npt.NDArray[Any], out: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    if out is None:
        return result
    if (
        not isinstance(out, np.ndarray)
        or (out.shape, out.dtype) != (result.shape, result.dtype)
        or not (out.flags.c_contiguous and out.flags.writeable)
    ):
        raise ValueError(
            f"out must be a writable C-contiguous {result.dtype} array of shape {result.shape}, "
            f"got {out!r}"
        )
    out[...] = result
    return out
