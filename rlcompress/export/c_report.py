"""Says what an exported policy takes and on which boards it fits; measures nothing itself."""

from __future__ import annotations

from dataclasses import dataclass

from rlcompress.export.c_emulate import (
    COMPILER,
    EMULATOR,
    Emulation,
    ToolError,
    can_emulate,
    emulate,
)
from rlcompress.export.c_size import CodeSize, code_size
from rlcompress.export.c_source import CSource


@dataclass(frozen=True)
class Board:
    """A microcontroller board: its core and its memory in KiB."""

    name: str
    core: str
    flash_kib: int
    ram_kib: int


BOARDS = (
    Board("STM32G031 Nucleo-32", "Cortex-M0+", 64, 8),
    Board("STM32F103 Blue Pill", "Cortex-M3", 64, 20),
    Board("Arduino Zero", "Cortex-M0+", 256, 32),
    Board("Crazyflie 2.1", "Cortex-M4F", 1024, 192),
    Board("Arduino Nano 33 BLE", "Cortex-M4F", 1024, 256),
    Board("Raspberry Pi Pico", "Cortex-M0+", 2048, 264),
    Board("ESP32-S3", "Xtensa LX7", 8192, 512),
    Board("Teensy 4.1", "Cortex-M7", 7936, 1024),
)
"""From the smallest. Code sizes differ a little between cores; the data are the same on all."""

_STACK_BYTES = 256  # Assumed where the emulator did not measure it.
_CODE_BYTES = 4096  # Assumed where no compiler is installed: all kernels together, unoptimised.


def report(source: CSource) -> str:
    """Lines for people: flash, RAM, work for an action, distance from entropy, boards."""
    size = code_size(source)
    measured, why_not = _measured(source)
    lines = [_flash(source, size), _ram(source, measured), _work(source, measured, why_not)]
    return "\n".join([*lines, _entropy(source), _boards(source, size, measured)])


def _measured(source: CSource) -> tuple[Emulation | None, str]:
    """What the emulator found, or why it did not; RuntimeError where the arithmetic is wrong."""
    if source.golden is None:
        return None, "no golden observations to count instructions with"
    if not can_emulate():
        return None, f"{COMPILER} and {EMULATOR} would count instructions"
    try:
        found = emulate(source)
    except ToolError as error:
        return None, str(error)
    if found.wrong:
        raise RuntimeError(
            f"{found.wrong} of {found.observations} golden observations come out wrong on an "
            f"emulated {found.core}: the compiler breaks the arithmetic"
        )
    return found, ""


def _flash(source: CSource, size: CodeSize | None) -> str:
    data = sum(source.data_bytes.values())
    parts = ", ".join(f"{part} {count:,}" for part, count in sorted(source.data_bytes.items()))
    code = "code unknown (no compiler found)"
    if size is not None:
        code = f"{size.code_bytes:,} of code for {size.target}"
    return f"flash: {data:,} bytes of data ({parts}) and {code}"


def _ram(source: CSource, measured: Emulation | None) -> str:
    stack = "stack not measured"
    if measured is not None:
        stack = f"{measured.stack_bytes:,} of stack, measured"
    return f"RAM: {source.scratch_bytes:,} bytes of scratch and {stack}"


def _work(source: CSource, measured: Emulation | None, why_not: str) -> str:
    done = f"work: {source.macs:,} multiply-accumulates an action"
    if measured is None:
        return f"{done} ({why_not})"
    return (
        f"{done}, {measured.instructions:,} instructions on a Cortex-M4F (counted by {EMULATOR} "
        f"-icount; mean of {measured.observations} golden observations, all bit-equal)"
    )


def _entropy(source: CSource) -> str:
    stored, bound = source.data_bytes.get("weights", 0), source.entropy_bytes
    ratio = f", {stored / bound:.2f}x that" if bound else ""
    return f"weights: entropy allows {bound:,.0f} bytes, stored are {stored:,}{ratio}"


def _boards(source: CSource, size: CodeSize | None, measured: Emulation | None) -> str:
    code = size.code_bytes if size else _CODE_BYTES
    flash = sum(source.data_bytes.values()) + code
    ram = source.scratch_bytes + (measured.stack_bytes if measured else _STACK_BYTES)
    lines = []
    for board in BOARDS:
        flash_share, ram_share = flash / (1024 * board.flash_kib), ram / (1024 * board.ram_kib)
        fits = "fits" if max(flash_share, ram_share) < 1 else "does not fit"
        lines.append(
            f"  {board.name + ', ' + board.core:<34}{fits:<13}{flash_share:6.1%} of flash, "
            f"{ram_share:6.1%} of RAM"
        )
    return "\n".join(["boards:", *lines])
