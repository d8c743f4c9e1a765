"""Asks NVIDIA's driver which GPUs there are, which costs nothing; runs nothing on them."""

from __future__ import annotations

import ctypes
import functools
import sys

from rlcompress.probe.registry import Unavailable

_SUCCESS = 0


@functools.cache
def gpu_names() -> tuple[str, ...]:
    """Names of the GPUs that the driver offers; none where there is no driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return ()
    count = ctypes.c_int(0)
    if driver.cuInit(0) != _SUCCESS or driver.cuDeviceGetCount(ctypes.byref(count)) != _SUCCESS:
        return ()
    names = []
    for number in range(count.value):
        text = ctypes.create_string_buffer(256)
        if driver.cuDeviceGetName(text, len(text), number) == _SUCCESS:
            names.append(text.value.decode(errors="replace"))
    return tuple(names)


def require_gpu() -> None:
    """Raise ``Unavailable`` where there is none."""
    if not gpu_names():
        raise Unavailable("no NVIDIA GPU here")
