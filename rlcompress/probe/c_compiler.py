"""The C compiler with which backends are built on the spot; writes no C."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlcompress.probe.registry import Request, Unavailable


@dataclass(frozen=True)
class Compiler:
    """A C compiler and the options that make the most of this machine."""

    command: str
    march: str

    @classmethod
    def found(cls, request: Request) -> Compiler:
        """The machine's compiler; ``Unavailable`` where there is none."""
        command = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
        if command is None:
            raise Unavailable("needs a C compiler (gcc or clang)")
        return cls(command, "native" if request.isa == "native" else "haswell")

    def lanes(self) -> int:
        """Floats in the widest vector that the compiler will use."""
        macros = self._run("-dM", "-E", "-x", "c", os.devnull)
        for macro, lanes in (("__AVX512F__", 16), ("__AVX__", 8)):
            if f" {macro} " in macros:
                return lanes
        return 4

    def library(
        self, files: Mapping[str, str], *options: str, units: Sequence[str] = ()
    ) -> ctypes.PyDLL:
        """Compile ``units`` (all files) of ``files`` and load; nothing stays on the disk."""
        with tempfile.TemporaryDirectory() as directory:
            for name, text in files.items():
                (Path(directory) / name).write_text(text)
            sources = [str(Path(directory) / name) for name in units or files]
            library = Path(directory) / "library.so"
            self._run(*options, "-shared", "-fPIC", "-o", str(library), *sources, "-lm")
            return ctypes.PyDLL(str(library))

    def _run(self, *options: str) -> str:
        command = [self.command, f"-march={self.march}", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{self.command} failed: {done.stderr.strip()[:500]}")
        return done.stdout
