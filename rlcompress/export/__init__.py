"""From trained models to compressed policies and from those to other formats.

The package itself can be called: ``rlcompress.export(policy, "actor.onnx")`` is ``export`` of
``formats``, under the name that ``python -m rlcompress.export`` has.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from rlcompress.artifact import CompressedPolicy


class _Callable(ModuleType):
    """A package whose name is also that of a function; nothing of it is imported before a call."""

    def __call__(self, policy: CompressedPolicy, path: str | Path, **options: Any) -> Path:
        from rlcompress.export.formats import export

        return export(policy, path, **options)


sys.modules[__name__].__class__ = _Callable
