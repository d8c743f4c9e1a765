"""Reads energy counters of processors (RAPL) and NVIDIA GPUs (NVML) where there are any.

What cannot be read is absent; nothing is estimated. Counters cover a whole package or board, idle
power and other programs included.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")

Energies = Mapping[str, float]
"""Microjoules by meter: ``package`` (all processors) and ``gpu``."""


@dataclass(frozen=True)
class Counter:
    """One counter in microjoules, which starts over at ``wraps_at`` (None: it does not)."""

    meter: str
    read: Callable[[], float]
    wraps_at: float | None = None


class Meters:
    """The counters that can be read here; ``gpu`` asks for the GPU's as well."""

    def __init__(self, *, gpu: bool = False, powercap: Path = POWERCAP) -> None:
        self.counters = [*_rapl(powercap), *(_nvml() if gpu else ())]

    def read(self) -> list[float]:
        """What the counters say now."""
        return [counter.read() for counter in self.counters]

    def spent(self, before: list[float], after: list[float]) -> dict[str, float]:
        """Microjoules by meter between two readings."""
        found: dict[str, float] = {}
        for counter, first, last in zip(self.counters, before, after, strict=True):
            spent = last - first
            if spent < 0 and counter.wraps_at is not None:
                spent += counter.wraps_at
            found[counter.meter] = found.get(counter.meter, 0.0) + spent
        return found


def why_no_package(powercap: Path = POWERCAP) -> str | None:
    """Why processors' energy is not known here, in one line; None where it is."""
    if _rapl(powercap):
        return None
    if list(powercap.glob("intel-rapl:*")):
        return "the RAPL counters may only be read by root"
    return "there are no RAPL counters (virtual machines and most ARM boards have none)"


def _rapl(powercap: Path) -> list[Counter]:
    found = []
    for zone in sorted(powercap.glob("intel-rapl:*")):
        with contextlib.suppress(OSError, ValueError):
            name = (zone / "name").read_text().strip()
            # Zones inside a package are part of it, psys is more than it.
            if not name.startswith("package"):
                continue
            counter = _file_reader(zone / "energy_uj")
            counter()
            wraps_at = float((zone / "max_energy_range_uj").read_text())
            found.append(Counter("package", counter, wraps_at))
    return found


def _file_reader(path: Path) -> Callable[[], float]:
    return lambda: float(path.read_text())


def _nvml() -> list[Counter]:
    try:
        import pynvml
        import torch

        pynvml.nvmlInit()
        # Not by number: CUDA counts the boards that it may see, NVML all there are.
        board = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(board)
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # Not installed, no driver, or a board without a counter.
        return []
    return [Counter("gpu", _nvml_reader(pynvml, handle))]


def _nvml_reader(pynvml: Any, handle: Any) -> Callable[[], float]:
    return lambda: 1e3 * float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle))
