"""Renders numbers, arrays and structs as C and knows their sizes; not what they are for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from rlcompress.artifact import AnyArray

_WIDTH = 100
_C_TYPES = {
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "uint16": "uint16_t",
    "int32": "int32_t",
    "uint32": "uint32_t",
    "float32": "float",
}
_LAYER = ("u32",) * 2 + ("pointer",) * 2 + ("u32", "rlc_store") + ("u8",) * 4
_STRUCTS: dict[str, tuple[str, ...]] = {
    "rlc_op": ("pointer", "pointer", "u32", "u32"),
    "rlc_store": ("u32",) * 4,
    "rlc_layer": _LAYER,
    "rlc_plain": ("rlc_layer", "pointer", "pointer", "u32"),
    "rlc_indexed": ("rlc_layer", *("pointer",) * 4, *("u8",) * 4),
    "rlc_packed": ("rlc_layer", "pointer", "u32", "u32", *("u8",) * 4),
    "rlc_window": ("u32",) * 11,
    "rlc_conv": ("rlc_packed", "rlc_window", "u32"),
    "rlc_pool": ("rlc_window", "rlc_store"),
    "rlc_sum": ("u32",) * 4 + ("rlc_store",) + ("u8",) * 4,
    "rlc_activation": ("u32", "u32", "u32", "pointer", "u32", "rlc_store"),
    "rlc_sign_layer": ("pointer", "u32", "u16", "u8", "u8"),
    "rlc_signs": ("pointer", "pointer", "u32", "u16", "u16", *("u8",) * 4),
    "rlc_policy": (
        *("pointer", "u32", "pointer", "u32", "u32", "u32", "u32", "pointer", "pointer"),
        *("u32", "u32", "u32", "pointer", "pointer", "pointer", "u32", "u32"),
    ),
}
"""Members of the structs in ``c/rlc.h``; ``u32`` is anything of four bytes."""


def struct_bytes(name: str, pointer_bytes: int = 4) -> int:
    """``sizeof`` of a struct of the runtime, on a target with pointers of that size."""
    return _extent(name, pointer_bytes)[0]


def _extent(kind: str, pointer_bytes: int) -> tuple[int, int]:
    """Size and alignment of a member or struct."""
    plain = {"u8": 1, "u16": 2, "u32": 4, "pointer": pointer_bytes}
    if kind in plain:
        return plain[kind], plain[kind]
    offset, strictest = 0, 1
    for member in _STRUCTS[kind]:
        size, alignment = _extent(member, pointer_bytes)
        offset = -(-offset // alignment) * alignment + size
        strictest = max(strictest, alignment)
    return -(-offset // strictest) * strictest, strictest


def check_name(name: str) -> None:
    """Raise ValueError unless C names may begin with ``name``."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name.lower().startswith("rlc"):
        raise ValueError(
            "name of a C export must be letters, digits and _, begin with a letter and not with "
            f"'rlc' (the runtime's names do), got {name!r}"
        )


def remark(text: str) -> str:
    """``text`` as it may stand in a comment, whoever wrote it."""
    return re.sub(r"[^A-Za-z0-9_.,+-]", "_", text)


def real(value: float | np.float32) -> str:
    """The shortest C literal that is read as this float32."""
    number = np.float32(value)
    if np.isinf(number):
        return "INFINITY" if number > 0 else "-INFINITY"
    text = str(number)
    return text + ("F" if "." in text or "e" in text else ".0F")


def nested(values: Sequence[object]) -> str:
    """An initialiser of a struct: its members in order."""
    return "{" + ", ".join(map(str, values)) + "}"


class Tables:
    """Collects the definitions of a header; ``data_bytes`` says what they take, part by part."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.lines: list[str] = []
        self.data_bytes: Counter[str] = Counter()

    def array(self, name: str, values: AnyArray, part: str = "tables") -> str:
        """Define a constant array; returns its name."""
        flat = values.ravel()
        write = real if flat.dtype == np.float32 else str
        words = [write(value) for value in flat]
        full = f"{self.prefix}_{name}"
        self.lines.append(f"static const {_C_TYPES[str(flat.dtype)]} {full}[] = {{")
        self.lines += _wrapped(words)
        self.lines.append("};")
        self.data_bytes[part] += flat.nbytes
        return full

    def struct(self, kind: str, name: str, members: Sequence[object]) -> str:
        """Define a constant struct of the runtime; returns its address."""
        full = f"{self.prefix}_{name}"
        self.lines.append(f"static const {kind} {full} = {{")
        self.lines += _wrapped([str(member) for member in members])
        self.lines.append("};")
        self.data_bytes["tables"] += struct_bytes(kind)
        return f"&{full}"

    def structs(self, kind: str, name: str, rows: Sequence[Sequence[object]]) -> str:
        """Define a constant array of structs; returns its name."""
        full = f"{self.prefix}_{name}"
        self.lines.append(f"static const {kind} {full}[] = {{")
        self.lines += [f"  {nested(row)}," for row in rows]
        self.lines.append("};")
        self.data_bytes["tables"] += len(rows) * struct_bytes(kind)
        return full


def _wrapped(words: Sequence[str]) -> list[str]:
    """``words`` with commas, in lines that are not too long."""
    lines, line = [], " "
    for word in words:
        if len(line) + len(word) + 2 > _WIDTH and line != " ":
            lines.append(line)
            line = " "
        line += f" {word},"
    return [*lines, line]
