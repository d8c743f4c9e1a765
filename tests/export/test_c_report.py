from __future__ import annotations

import re
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from rlcompress.export.c_emulate import Emulation, ToolError, can_emulate, emulate
from rlcompress.export.c_report import BOARDS, report
from rlcompress.export.c_size import code_size
from rlcompress.export.c_source import to_c
from tests.export.c_host import compiler
from tests.export.c_policies import hopper


def tools(folder: Path, **scripts: str) -> str:
    """A directory with shell scripts in the places of tools, for PATH."""
    for name, script in scripts.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(folder)


def test_code_is_counted_with_this_machine_s_compiler(monkeypatch, tmp_path):
    for name in ("gcc", "size"):
        (tmp_path / name).symlink_to(compiler(name))
    for name in ("as", "ld", "cc1"):  # What gcc itself looks for on PATH.
        found = shutil.which(name)
        if found:
            (tmp_path / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path))
    size = code_size(to_c(hopper(0.98), "actor"))
    assert size is not None
    assert size.target == "this machine (gcc -Os)"
    assert 500 < size.code_bytes < 2500
    everything = to_c(hopper(0.98), "actor", optimise="speed")
    fast = code_size(everything)
    assert fast is not None and fast.target == "this machine (gcc -O2)"


def test_a_compiler_that_does_not_work_is_passed_over(monkeypatch, tmp_path):
    broken = "echo 'no such option' >&2; exit 1"
    path = tools(tmp_path, arm_none_eabi_gcc=broken, arm_none_eabi_size="exit 0")
    monkeypatch.setenv("PATH", path)
    assert code_size(to_c(hopper(0.98), "actor")) is None
    tools(tmp_path, qemu_system_arm="exit 0")
    source = to_c(hopper(0.98), "actor")
    with pytest.raises(ToolError, match="arm-none-eabi-gcc failed: no such option"):
        emulate(source)
    assert "(arm-none-eabi-gcc failed: no such option)" in report(source)


def test_wrong_golden_observations_are_an_error(monkeypatch, tmp_path):
    path = tools(tmp_path, arm_none_eabi_gcc="exit 0", qemu_system_arm="echo 4 1 4000 99")
    monkeypatch.setenv("PATH", path)
    source = to_c(hopper(0.98), "actor")
    assert can_emulate()
    assert emulate(source) == Emulation("cortex-m4", 4, 1, 1000, 99)
    with pytest.raises(RuntimeError, match="1 of 4 golden observations come out wrong"):
        report(source)
    tools(tmp_path, qemu_system_arm="echo 4 0 4000 99")
    said = report(source)
    assert "1,000 instructions on a Cortex-M4F" in said
    assert "99 of stack, measured" in said


def test_nothing_is_emulated_without_golden_observations(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", tools(tmp_path, arm_none_eabi_gcc="exit 1"))
    source = to_c(replace(hopper(0.98), golden=None), "actor")
    with pytest.raises(ValueError, match="needs golden observations"):
        emulate(source)
    assert "no golden observations to count instructions with" in report(source)


def test_what_is_too_large_does_not_fit(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    source = to_c(hopper(0.98), "actor")
    medium = replace(source, data_bytes={"weights": 100 * 1024}, scratch_bytes=30 * 1024)
    lines = report(medium).splitlines()
    fits = {
        board.name: " fits " in line for board in BOARDS for line in lines if board.name in line
    }
    assert fits == {board.name: board.flash_kib >= 256 for board in BOARDS}
    assert re.search(r"Arduino Zero.* fits .* 94.5% of RAM", "\n".join(lines))
