"""Finds how many bytes of code an exported policy needs, with whatever compiler is installed."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from string import Template

from rlcompress.export.c_emulate import COMPILER, LEVELS, TARGETS, ToolError, run
from rlcompress.export.c_source import CSource, write_files

_ENTRY = Template("""\
#include "${p}.h"
int32_t entry(const ${p}_observation_element *observation, ${p}_action_element *action,
              ${p}_scratch *scratch);
int32_t entry(const ${p}_observation_element *observation, ${p}_action_element *action,
              ${p}_scratch *scratch) {
  return ${p}_act(observation, action, scratch);
}
""")


@dataclass(frozen=True)
class CodeSize:
    """Bytes of the sections that are linked for one policy, and for what they were compiled.

    ``code_bytes`` leaves out what comes from the compiler's own libraries (``memset``; on cores
    without a floating-point unit its emulation).
    """

    target: str
    code_bytes: int
    data_bytes: int


def code_size(source: CSource) -> CodeSize | None:
    """Sizes for a Cortex-M4F, else for this machine; None without a compiler that can link."""
    for compiler, flags, target in (
        (COMPILER, TARGETS["cortex-m4"], "Cortex-M4F"),
        ("gcc", (), "this machine"),
        ("cc", (), "this machine"),
    ):
        size = compiler.removesuffix("gcc").removesuffix("cc") + "size"
        if not (shutil.which(compiler) and shutil.which(size)):
            continue
        level = LEVELS[source.optimise]
        try:
            sections = _sections(source, [compiler, *flags, level], size)
        except ToolError:
            continue
        code = sum(count for name, count in sections if name.startswith(".text"))
        data = sum(count for name, count in sections if name.startswith((".rodata", ".data")))
        return CodeSize(f"{target} ({compiler} {level})", code, data)
    return None


def _sections(source: CSource, compile_: list[str], size: str) -> list[tuple[str, int]]:
    """Names and bytes of the sections that remain when everything unused has been dropped."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(source, folder)
        (folder / "entry.c").write_text(_ENTRY.substitute(p=source.name))
        sources = [str(folder / file) for file in ("entry.c", "rlc.c", "rlc_layers.c")]
        linked = str(folder / "linked.o")
        run([
            *(*compile_, "-std=c99", "-ffunction-sections", "-fdata-sections"),
            *("-fno-asynchronous-unwind-tables", "-fno-pic", "-nostdlib", "-r"),
            *("-Wl,--gc-sections", "-Wl,--entry=entry", *sources, "-o", linked),
        ])  # fmt: skip
        return [
            (found[1], int(found[2]))
            for line in run([size, "-A", linked]).splitlines()
            if (found := re.match(r"(\.\S+)\s+(\d+)", line))
        ]
