"""The dense C baseline as a backend: compiled on the spot, called in this process."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rlcompress.artifact import AnyArray
from rlcompress.probe.c_dense import Source, write
from rlcompress.probe.registry import Request, Runner, Unavailable, backend
from rlcompress.probe.subject import Subject


@backend("c_dense_float", what="actor", form="floating", tolerance=1e-3, ours=True)
def c_dense_float(subject: Subject, request: Request) -> Runner:
    """Plain dense float32 C, gcc -O3 -march=native: what sparsity and int8 have to beat."""
    if request.threads != 1:
        raise Unavailable("has one thread only")
    compiler = Compiler.found(request)
    source = write(subject.floating, request.batch, compiler.lanes())
    library = compiler.library(source)
    for index, values in enumerate(source.parameters):
        library.set(index, ctypes.c_void_p(values.ctypes.data))
    library.run.restype = None
    action = subject.policy.action
    size = request.batch * max(1, int(np.prod(action.shape)))
    kind = ctypes.c_int64 if action.kind == "argmax" else ctypes.c_float
    actions = np.ctypeslib.as_array((kind * size).in_dll(library, "action"))
    # The addresses stay valid while the runner holds what they point to.
    held: list[AnyArray] = [*source.parameters]

    def prepare(observations: AnyArray) -> ctypes.c_void_p:
        held.append(observations)
        return ctypes.c_void_p(observations.ctypes.data)

    return Runner(library.run, prepare, lambda argument, returned: actions.copy())


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

    def library(self, source: Source) -> ctypes.PyDLL:
        """Compile and load; the files are gone when this returns."""
        with tempfile.TemporaryDirectory() as directory:
            code, library = Path(directory) / "dense.c", Path(directory) / "dense.so"
            code.write_text(source.text())
            self._run("-O3", "-shared", "-fPIC", "-o", str(library), str(code), "-lm")
            return ctypes.PyDLL(str(library))

    def _run(self, *options: str) -> str:
        command = [self.command, f"-march={self.march}", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{self.command} failed: {done.stderr.strip()[:500]}")
        return done.stdout
