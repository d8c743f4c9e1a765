"""Prune, quantise, export and run the networks that reinforcement learning trains.

The public names below are imported when they are first used, so that running a policy does not
load what training needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlcompress.artifact import CompressedPolicy as CompressedPolicy
    from rlcompress.export.formats import export as export
    from rlcompress.export.freeze import freeze as freeze
    from rlcompress.probe.api import measure as measure
    from rlcompress.runtime.engine import Engine as Engine
    from rlcompress.sb3.pruning_callback import PruningCallback as PruningCallback
    from rlcompress.sb3.qat_callback import QATCallback as QATCallback
    from rlcompress.spec import PruneSpec as PruneSpec
    from rlcompress.spec import QuantSpec as QuantSpec

_HOMES = {
    "PruneSpec": "rlcompress.spec",
    "QuantSpec": "rlcompress.spec",
    "PruningCallback": "rlcompress.sb3.pruning_callback",
    "QATCallback": "rlcompress.sb3.qat_callback",
    "export": "rlcompress.export",
    "freeze": "rlcompress.export.freeze",
    "CompressedPolicy": "rlcompress.artifact",
    "Engine": "rlcompress.runtime.engine",
    "measure": "rlcompress.probe.api",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(_HOMES[name])
    # The package ``export`` can be called like the function that type checkers take it for.
    value = home if name == "export" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
