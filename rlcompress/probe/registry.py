"""What a backend is and the table of all of them; the backends themselves lie in other files.

A backend is one function that makes a policy ready to run in some runtime. Adding one is a function
with a decorator in any of the files that ``backends`` imports.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

from rlcompress.artifact import AnyArray
from rlcompress.probe.subject import Form, Subject

Isa = Literal["native", "avx2"]
What = Literal["policy", "actor"]


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


@dataclass(frozen=True)
class Runner:
    """A policy that is ready to run.

    ``call(argument)`` is what the clock sees. ``prepare`` makes the argument of one batch (of one
    observation without the batch axis where ``single``) in the runtime's own form, unseen by the
    clock. ``actions`` reads the actions out of what ``call(argument)`` returned. ``context`` is
    entered once, around all calls.
    """

    call: Callable[[Any], Any]
    prepare: Callable[[AnyArray], Any] = lambda observations: observations
    actions: Callable[[Any, Any], Any] = lambda argument, returned: returned
    single: bool = False
    context: Callable[[], AbstractContextManager[Any]] = nullcontext


Load = Callable[[Subject, Request], Runner]


@dataclass(frozen=True)
class Backend:
    """A way to run policies.

    ``what`` says what is timed: ``policy`` is the environment's numpy observation in and its action
    out, ``actor`` the network with its head on inputs that already lie in the runtime's own form.
    ``form`` is what it runs and is checked against; an action may be off by ``tolerance`` of the
    range of actions (a discrete action: its value by so much of the range of values). ``install``
    says how to get what it needs. ``ours`` tells this package's own from its peers; ``optional``
    ones run only when asked for by name.
    """

    name: str
    load: Load
    what: What
    form: Form
    tolerance: float
    install: str = ""
    ours: bool = False
    optional: bool = False


BACKENDS: dict[str, Backend] = {}


def backend(
    name: str, *, what: What, form: Form, tolerance: float, **fields: Any
) -> Callable[[Load], Load]:
    """Register the function that loads a backend; ``fields`` are further ones of ``Backend``."""

    def register(load: Load) -> Load:
        BACKENDS[name] = Backend(name, load, what, form, tolerance, **fields)
        return load

    return register
