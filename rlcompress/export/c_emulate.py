"""Runs an exported policy on an emulated Cortex-M: right or wrong, instructions, stack.

Needs ``arm-none-eabi-gcc`` with newlib and ``qemu-system-arm``. The emulator counts instructions,
not cycles: how long one takes depends on the chip's flash and caches.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Literal

from rlcompress.export.c_source import CSource, write_files

Core = Literal["cortex-m3", "cortex-m4"]

COMPILER, EMULATOR = "arm-none-eabi-gcc", "qemu-system-arm"
TARGETS: dict[Core, tuple[str, ...]] = {
    "cortex-m3": ("-mcpu=cortex-m3", "-mthumb"),
    "cortex-m4": ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
}
"""Compiler flags of each core; the M3 has no floating-point unit."""
LEVELS = {"size": "-Os", "speed": "-O2"}
"""Optimisation level that goes with each way of exporting."""

_BOARDS: dict[Core, str] = {"cortex-m3": "mps2-an385", "cortex-m4": "mps2-an386"}
_SECONDS = 600
_GLUE = Template("""\
#include "${p}_golden.h"
uint32_t policy_count(void);
int policy_golden(uint32_t index);
void policy_act(uint32_t index);
static ${p}_scratch scratch;
static ${p}_action_element action[${P}_ACTION_SIZE];
uint32_t policy_count(void) { return ${P}_GOLDEN_COUNT; }
int policy_golden(uint32_t index) { return ${p}_golden(index, &scratch); }
void policy_act(uint32_t index) {
  ${p}_act(${p}_golden_observations + index * ${P}_OBSERVATION_SIZE, action, &scratch);
}
""")


class ToolError(RuntimeError):
    """A compiler or the emulator failed; the message says which and how, in one line."""


@dataclass(frozen=True)
class Emulation:
    """What came of running the golden observations; numbers of instructions are means."""

    core: Core
    observations: int
    wrong: int
    instructions: int
    stack_bytes: int


def can_emulate() -> bool:
    """Whether the compiler and the emulator are installed."""
    return bool(shutil.which(COMPILER) and shutil.which(EMULATOR))


def emulate(source: CSource, *, core: Core = "cortex-m4", level: str | None = None) -> Emulation:
    """Compile ``source`` for ``core`` and run its golden observations in the emulator.

    Args:
        source: an export with golden observations.
        core: what to compile for and emulate.
        level: optimisation level; by default the one that goes with the export.

    Raises:
        ValueError: where there are no golden observations.
        ToolError: where the compiler or the emulator fails.
    """
    if source.golden is None:
        raise ValueError("emulating a policy needs golden observations, got a policy without any")
    with tempfile.TemporaryDirectory() as folder:
        image = _build(source, Path(folder), core, level or LEVELS[source.optimise])
        said = run([
            *(EMULATOR, "-M", _BOARDS[core], "-nographic", "-monitor", "none", "-serial", "none"),
            *("-semihosting-config", "enable=on,target=native", "-icount", "shift=6,sleep=off"),
            *("-kernel", str(image)),
        ])  # fmt: skip
    observations, wrong, instructions, stack = map(int, said.split())
    return Emulation(core, observations, wrong, instructions // observations, stack)


def _build(source: CSource, folder: Path, core: Core, level: str) -> Path:
    write_files(source, folder)
    (folder / "glue.c").write_text(_GLUE.substitute(p=source.name, P=source.name.upper()))
    board = resources.files("rlcompress.export") / "c" / "cortex_m"
    for name in ("start.c", "memory.ld"):
        (folder / name).write_text((board / name).read_text())
    image = folder / "policy.elf"
    sources = [str(folder / name) for name in ("start.c", "glue.c", "rlc.c", "rlc_layers.c")]
    run([
        *(COMPILER, *TARGETS[core], level, "-std=c99", "-ffunction-sections", "-fdata-sections"),
        *("-nostartfiles", "-Wl,--gc-sections", "-T", str(folder / "memory.ld")),
        *(*sources, "-o", str(image)),
    ])  # fmt: skip
    return image


def run(command: list[str]) -> str:
    """What a command printed; ToolError with the first line of it where the command failed."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{command[0]} failed: {error}") from None
    said = done.stdout + done.stderr
    if done.returncode:
        first = said.strip().splitlines()[:1] or [f"exit code {done.returncode}"]
        raise ToolError(f"{command[0]} failed: {first[0]}")
    return said
