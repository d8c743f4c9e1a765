"""The formats in which a policy leaves: their names, endings and writers; reads nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.file import write_bytes
from rlcompress.export.c_layers import Optimise

Write = Callable[[], str]
"""Writes the files and returns what there is to say about them, if anything."""


class Build(Protocol):
    """Makes the writer of a policy; without ``report`` there is nothing to say about C."""

    def __call__(
        self, policy: CompressedPolicy, target: Path, optimise: Optimise, *, report: bool = True
    ) -> Write:
        """ValueError where the policy cannot be written."""


@dataclass(frozen=True)
class Format:
    """A file's ending, and what makes the writer of a policy (ValueError where it cannot be)."""

    suffix: str
    build: Build


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


def export(policy: CompressedPolicy, path: str | Path, *, optimise: Optimise = "size") -> Path:
    """Write ``policy`` in the format that the ending of ``path`` names; returns the path.

    ``.rlc`` is the artifact; ``.onnx`` an int8 graph from raw observations to actions; ``.h`` a C
    header, with the runtime and ``<name>_golden.h`` beside it.

    Args:
        policy: what to write.
        path: the file to write, or to replace.
        optimise: what C is to be best at, ``size`` or ``speed``.

    Raises:
        ValueError: where the ending is unknown or the format cannot hold the policy.
        OSError: where the file cannot be written.
    """
    target = Path(path)
    for found in FORMATS.values():
        if found.suffix == target.suffix:
            found.build(policy, target, optimise_of(optimise), report=False)()
            return target
    endings = ", ".join(found.suffix for found in FORMATS.values())
    raise ValueError(f"path must end in one of {endings}, got {target.name!r}")


def optimise_of(text: str) -> Optimise:
    """``text`` if it is one of the two things to optimise a C export for."""
    goals: tuple[Optimise, ...] = ("size", "speed")
    for goal in goals:
        if goal == text:
            return goal
    raise ValueError(f"optimise must be size or speed, got {text!r}")


def _stem(source: Path, found: Format) -> str:
    """The name of ``source``, as C names can begin with it where they have to."""
    if found is not FORMATS["c"]:
        return source.stem
    stem = re.sub(r"\W+", "_", source.stem, flags=re.ASCII).strip("_")
    return stem if stem[:1].isalpha() else f"policy_{stem}".rstrip("_")


def _artifact(
    policy: CompressedPolicy, target: Path, optimise: Optimise, *, report: bool = True
) -> Write:
    def write() -> str:
        policy.save(target)
        return ""

    return write


def _onnx(
    policy: CompressedPolicy, target: Path, optimise: Optimise, *, report: bool = True
) -> Write:
    from rlcompress.export.onnx_qdq import to_onnx

    data = to_onnx(policy).SerializeToString()

    def write() -> str:
        write_bytes(target, data)
        return ""

    return write


def _c(policy: CompressedPolicy, target: Path, optimise: Optimise, *, report: bool = True) -> Write:
    from rlcompress.export import c_report
    from rlcompress.export.c_source import to_c, write_files

    source = to_c(policy, target.stem, optimise=optimise)

    def write() -> str:
        write_files(source, target.parent)
        return c_report.report(source) if report else ""

    return write


FORMATS = {
    "rlc": Format(".rlc", _artifact),
    "onnx": Format(".onnx", _onnx),
    "c": Format(".h", _c),
}
