"""What a backend is and the table of all of them; the backends themselves lie in other files.

A backend is one function that makes a policy ready to run in some runtime. Adding one is a function
with a decorator in any of the files that ``backends`` imports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rlcompress.artifact import AnyArray
from rlcompress.probe.subject import Form, Subject

Isa = Literal["native", "avx2"]
What = Literal["policy", "actor", "kernel"]
LEVELS: tuple[What, ...] = ("policy", "actor", "kernel")

Timer = Callable[[Sequence[Any], int], npt.NDArray[np.int64]]
"""Nanoseconds that each of so many calls took, on arguments in turn."""


class Unavailable(RuntimeError):
    """A backend cannot run here or cannot run this policy; the message says why."""


@dataclass(frozen=True)
class Request:
    """How to run: observations per call, threads, and the instruction set that is allowed."""

    batch: int = 1
    threads: int = 1
    isa: Isa = "native"

    def __post_init__(self) -> None:
        for name in ("batch", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.isa not in ("native", "avx2"):
            raise ValueError(f"isa must be 'native' or 'avx2', got {self.isa!r}")


def _as_it_is(observations: AnyArray) -> Any:
    return observations


def _as_returned(argument: Any, returned: Any) -> Any:
    return returned


@dataclass(frozen=True)
class Timed:
    """One level at which a runner can be timed.

    ``call(argument)`` is what the clock sees. ``prepare`` makes the argument of one batch, unseen
    by the clock. ``actions`` reads the actions out of what ``call(argument)`` returned. ``timer``
    is a clock of the runtime's own, in place of Python's around ``call``.
    """

    call: Callable[[Any], Any]
    prepare: Callable[[AnyArray], Any] = _as_it_is
    actions: Callable[[Any, Any], Any] = _as_returned
    timer: Timer | None = None


@dataclass(frozen=True)
class Runner:
    """A policy that is ready to run.

    ``call``, ``prepare`` and ``actions`` are those of its backend's own level, as in ``Timed``; the
    observations it prepares come without the batch axis where ``single``. ``more`` are other levels
    at which it can be timed. ``context`` is entered once, around all calls.
    """

    call: Callable[[Any], Any]
    prepare: Callable[[AnyArray], Any] = _as_it_is
    actions: Callable[[Any, Any], Any] = _as_returned
    single: bool = False
    context: Callable[[], AbstractContextManager[Any]] = nullcontext
    more: Mapping[What, Timed] = field(default_factory=dict)

    def at(self, level: What, own: What) -> Timed | None:
        """How to time ``level``, given the backend's ``own``; None where there is no such level.

        From observation to action every network can be run: by preparing, calling and reading out.
        """
        if level == own:
            return Timed(self.call, self.prepare, self.actions)
        if level in self.more:
            return self.more[level]
        return Timed(self._whole) if level == "policy" else None

    def _whole(self, observations: AnyArray) -> Any:
        argument = self.prepare(observations)
        return self.actions(argument, self.call(argument))


Load = Callable[[Subject, Request], Runner]


@dataclass(frozen=True)
class Backend:
    """A way to run policies.

    ``what`` says what is timed unless another level is asked for: ``policy`` is the environment's
    numpy observation in and its action out, ``actor`` the network with its head on inputs that
    already lie in the runtime's own form, ``kernel`` the same without Python.
    ``form`` is what it runs and is checked against; an action may be off by ``tolerance`` of the
    range of actions (a discrete action: its value by so much of the range of values). ``install``
    says how to get what it needs. ``ours`` tells this package's own from its peers; ``optional``
    ones are left out of benchmarks unless asked for by name. ``device`` is where it computes.
    """

    name: str
    load: Load
    what: What
    form: Form
    tolerance: float
    install: str = ""
    ours: bool = False
    optional: bool = False
    device: Literal["cpu", "cuda"] = "cpu"


BACKENDS: dict[str, Backend] = {}


def backend(
    name: str, *, what: What, form: Form, tolerance: float, **fields: Any
) -> Callable[[Load], Load]:
    """Register the function that loads a backend; ``fields`` are further ones of ``Backend``."""

    def register(load: Load) -> Load:
        BACKENDS[name] = Backend(name, load, what, form, tolerance, **fields)
        return load

    return register
