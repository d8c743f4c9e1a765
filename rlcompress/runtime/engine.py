"""The engine: a policy run by native code, or by the numpy reference where there is none.

Arrays that native code can read as they lie never pass through Python; others are converted here,
and errors about observations are the reference's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rlcompress.artifact.policy import CompressedPolicy
from rlcompress.artifact.records import AnyArray
from rlcompress.runtime.image import engine_image
from rlcompress.runtime.numerics import prepare

try:
    from rlcompress.runtime._engine import NativeEngine, available_isas

    _NATIVE = True
except ImportError:  # Installed without a compiler.
    from rlcompress.runtime.fallback import (  # type: ignore[assignment]
        NativeEngine,
        available_isas,
    )

    _NATIVE = False

__all__ = ["Engine", "available_isas"]


class Engine(NativeEngine):
    """Runs ``policy`` on raw observations of the environment, one or a batch of them.

    ``engine(observation, out=None)`` gives actions and ``engine.forward(observation, out=None)``
    raw outputs (n, outputs), both bit for bit those of ``Reference``. ``threads`` share batches
    that are large enough, ``isa`` forces one of ``available_isas()``, and ``reuse`` remembers what
    each row of a batch computed last and recomputes only what has changed since. Several Python
    threads may call one engine.
    """

    def __init__(
        self, policy: CompressedPolicy, threads: int = 1, isa: str = "auto", reuse: bool = False
    ) -> None:
        if not 1 <= threads <= 1024:
            raise ValueError(f"threads must be in 1..1024, got {threads}")
        source: Any = engine_image(policy) if _NATIVE else policy
        super().__init__(source, threads, isa, reuse)
        self.policy = policy
        self._options = {"threads": threads, "isa": isa, "reuse": reuse}

    @classmethod
    def load(
        cls, path: str | Path, threads: int = 1, isa: str = "auto", reuse: bool = False
    ) -> Engine:
        """The engine for an artifact on disk."""
        return cls(CompressedPolicy.load(path), threads, isa, reuse)

    def predict(
        self,
        observation: npt.ArrayLike,
        state: tuple[Any, ...] | None = None,
        episode_start: AnyArray | None = None,
        deterministic: bool = True,
    ) -> tuple[AnyArray, tuple[Any, ...] | None]:
        """Action(s) and ``state`` in the form of Stable-Baselines3's ``predict``.

        A compressed policy is deterministic and keeps no state; the other arguments are ignored.
        """
        return self(observation), state

    def image(self) -> bytes:
        """The policy as the C API loads it (``rlc_load`` in ``rlcompress.h``)."""
        return engine_image(self.policy)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.policy, self._options)

    def _run_converted(
        self, observation: npt.ArrayLike, out: AnyArray | None, raw: int
    ) -> AnyArray:
        """Called by native code for what it cannot read: other dtypes, strides, lists, errors."""
        given = np.asarray(observation)
        prepare(self.policy.observation, given)  # Raises for whatever is not an observation.
        dtype = np.uint8 if self.policy.observation.image else np.float32
        plain = np.array(given, dtype, order="C")
        return self.forward(plain, out) if raw else self(plain, out)

    def _raise_not_finite(self, observation: AnyArray) -> None:
        """Called by native code for observations with infinities in them."""
        prepare(self.policy.observation, observation)
        raise AssertionError("native code and numerics.prepare disagree about what is finite")


def _unpickled(policy: CompressedPolicy, options: dict[str, Any]) -> Engine:
    return Engine(policy, **options)
