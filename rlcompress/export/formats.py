"""The formats in which a policy leaves: their names, endings and writers; reads nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.file import write_bytes
from rlcompress.export.c_layers import Optimise
from rlcompress.export.onnx_qdq import Precision

if TYPE_CHECKING:
    from rlcompress.export.c_source import CSource

Describe = Callable[[], str]
"""Finds out what there is to say about files, if anything."""
Write = Callable[[], Describe]
"""Writes the files."""


@dataclass(frozen=True)
class Options:
    """What a format may be asked for; each reads what is meant for it.

    Attributes:
        optimise: what C is to be best at, ``size`` or ``speed``.
        precision: of ONNX, ``int8`` (layers that are integers stay integers) or ``float``.
        with_action: whether ONNX gives the environment's action, or else raw outputs.
    """

    optimise: Optimise = "size"
    precision: Precision = "int8"
    with_action: bool = True

    def __post_init__(self) -> None:
        for name, known in (("optimise", ("size", "speed")), ("precision", ("int8", "float"))):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be {' or '.join(known)}, got {getattr(self, name)!r}"
                )


@dataclass(frozen=True)
class Format:
    """A file's ending, and what makes the writer of a policy (ValueError where it cannot be).

    What was written is described only where it is asked for: for C that takes compilers.
    """

    suffix: str
    build: Callable[[CompressedPolicy, Path, Options], Write]


def choose(name: str | None, source: Path, out: str | None) -> tuple[Format, Path]:
    """The format called ``name`` (None: by the ending of ``out``) and the file to write."""
    if name is not None and name not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {name!r}")
    if out is None:
        found = FORMATS[name or "rlc"]
        return found, source.with_name(_stem(source, found) + found.suffix)
    target = Path(out)
    if not target.parent.is_dir():
        raise ValueError(f"out={target}: there is no directory {target.parent}")
    allowed = FORMATS if name is None else {name: FORMATS[name]}
    for found in allowed.values():
        if target.suffix == found.suffix:
            return found, target
    endings = " or ".join(found.suffix for found in allowed.values())
    raise ValueError(f"out must end in {endings}, got {target.name!r}")


def export(policy: CompressedPolicy, path: str | Path, **options: Any) -> Path:
    """Write ``policy`` in the format that the ending of ``path`` names; returns the path.

    ``.rlc`` is the artifact; ``.onnx`` a graph from raw observations to actions; ``.h`` a C
    header, with the runtime and ``<name>_golden.h`` beside it.

    Args:
        policy: what to write.
        path: the file to write, or to replace.
        options: fields of ``Options``.

    Raises:
        ValueError: where the ending is unknown or the format cannot hold the policy.
        OSError: where the file cannot be written.
    """
    target, chosen = Path(path), Options(**options)
    for found in FORMATS.values():
        if found.suffix == target.suffix:
            found.build(policy, target, chosen)()
            return target
    endings = ", ".join(found.suffix for found in FORMATS.values())
    raise ValueError(f"path must end in one of {endings}, got {target.name!r}")


def _stem(source: Path, found: Format) -> str:
    """The name of ``source``, as C names can begin with it where they have to."""
    if found is not FORMATS["c"]:
        return source.stem
    stem = re.sub(r"\W+", "_", source.stem, flags=re.ASCII).strip("_")
    return stem if stem[:1].isalpha() else f"policy_{stem}".rstrip("_")


def _artifact(policy: CompressedPolicy, target: Path, options: Options) -> Write:
    def write() -> Describe:
        policy.save(target)
        return lambda: ""

    return write


def _onnx(policy: CompressedPolicy, target: Path, options: Options) -> Write:
    from rlcompress.export.onnx_qdq import describe, to_onnx

    model = to_onnx(policy, precision=options.precision, with_action=options.with_action)

    def write() -> Describe:
        write_bytes(target, model.SerializeToString())
        return lambda: describe(model)

    return write


def _c(policy: CompressedPolicy, target: Path, options: Options) -> Write:
    from rlcompress.export.c_source import to_c, write_files

    source = to_c(policy, target.stem, optimise=options.optimise)

    def write() -> Describe:
        write_files(source, target.parent)
        return lambda: _c_report(source)

    return write


def _c_report(source: CSource) -> str:
    from rlcompress.export.c_report import report
    from rlcompress.export.c_source import RUNTIME

    golden = [] if source.golden is None else [f"{source.name}_golden.h"]
    return f"beside it: {', '.join([*golden, *RUNTIME])}\n{report(source)}"


FORMATS = {
    "rlc": Format(".rlc", _artifact),
    "onnx": Format(".onnx", _onnx),
    "c": Format(".h", _c),
}
