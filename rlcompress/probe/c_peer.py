"""Networks as C, compiled on the spot and called in this process: a dense baseline, our export."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rlcompress.artifact import AnyArray
from rlcompress.export.c_source import RUNTIME, runtime_files, to_c
from rlcompress.probe.c_compiler import Compiler
from rlcompress.probe.c_dense import write
from rlcompress.probe.registry import Request, Runner, Timed, Timer, Unavailable, backend
from rlcompress.probe.subject import Subject

_CLOCK = """
#include <time.h>
static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
void time_runs(const void *const *observations, long rows, long calls, int64_t *taken) {
  for (long i = 0; i < calls; i++) {
    const int64_t start = now();
    run(observations[i % rows]);
    taken[i] = now() - start;
  }
}
"""

_EXPORTED = """
#include "policy.h"
static policy_scratch scratch;
policy_action_element action[BATCH * POLICY_ACTION_SIZE];
void run(const policy_observation_element *observations) {
  for (long n = 0; n < BATCH; n++)
    policy_act(observations + n * POLICY_OBSERVATION_SIZE, action + n * POLICY_ACTION_SIZE,
               &scratch);
}
"""


@backend("c_dense_float", what="actor", form="floating", tolerance=1e-3, ours=True)
def c_dense_float(subject: Subject, request: Request) -> Runner:
    """Plain dense float32 C, gcc -O3 -march=native: what sparsity and int8 have to beat."""
    if request.threads != 1:
        raise Unavailable("has one thread only")
    compiler = Compiler.found(request)
    source = write(subject.floating, request.batch, compiler.lanes())
    library = compiler.library({"dense.c": source.text() + _CLOCK}, "-O3")
    for index, values in enumerate(source.parameters):
        library.set(index, ctypes.c_void_p(values.ctypes.data))
    discrete = subject.policy.action.discrete
    # The addresses stay valid while the runner holds what they point to.
    return _runner(
        library, subject, request, ctypes.c_int64 if discrete else ctypes.c_float, source.parameters
    )


@backend("c_export", what="actor", form="policy", tolerance=0.0, ours=True, optional=True)
def c_export(subject: Subject, request: Request) -> Runner:
    """The exported C99, optimised for speed, compiled with -O3 for this machine."""
    if request.threads != 1:
        raise Unavailable("has one thread only")
    source = to_c(subject.policy, "policy", optimise="speed")
    files = {**runtime_files(), "policy.h": source.header}
    define = f"#define BATCH {request.batch}\n"
    files["run.c"] = f"{define}{_EXPORTED}{_CLOCK}"
    units = ["run.c", *(name for name in RUNTIME if name.endswith(".c"))]
    library = Compiler.found(request).library(files, "-O3", "-std=gnu11", units=units)
    discrete = subject.policy.action.discrete
    return _runner(library, subject, request, ctypes.c_int32 if discrete else ctypes.c_float)


def _runner(
    library: ctypes.PyDLL,
    subject: Subject,
    request: Request,
    element: Any,
    held: Sequence[AnyArray] = (),
) -> Runner:
    """A library with ``run(observations)``, which fills ``action``, and ``time_runs``."""
    size = request.batch * max(1, int(np.prod(subject.policy.action.shape)))
    actions: AnyArray = np.ctypeslib.as_array((element * size).in_dll(library, "action"))
    run, address, kept = library.run, ctypes.c_void_p, [*held]
    run.restype = None

    def prepare(observations: AnyArray) -> ctypes.c_void_p:
        kept.append(observations)
        return address(observations.ctypes.data)

    def act(observations: AnyArray) -> Any:
        run(address(observations.ctypes.data))
        return actions.copy()

    native = Timed(
        lambda observations: run(address(observations.ctypes.data)), timer=_timer(library)
    )
    return Runner(
        run,
        prepare,
        lambda argument, returned: actions.copy(),
        more={"policy": Timed(act), "kernel": native},
    )


def _timer(library: ctypes.PyDLL) -> Timer:
    library.time_runs.restype = None

    def timed(arguments: Sequence[Any], count: int) -> npt.NDArray[np.int64]:
        rows = (ctypes.c_void_p * len(arguments))(*(one.ctypes.data for one in arguments))
        taken = np.zeros(count, np.int64)
        library.time_runs(
            rows, ctypes.c_long(len(rows)), ctypes.c_long(count), ctypes.c_void_p(taken.ctypes.data)
        )
        return taken

    return timed
