"""Finding an entry of a registry by name; the registries themselves lie beside their entries."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import TypeVar

Entry = TypeVar("Entry")


def lookup(registry: Mapping[str, Entry], name: str, what: str) -> Entry:
    """Entry ``name`` of ``registry``; ValueError with the nearest names where there is none."""
    if name not in registry:
        raise ValueError(f"unknown {what} {name!r}{nearest(name, registry)}")
    return registry[name]


def nearest(name: str, choices: Collection[str]) -> str:
    """End of an error message: the likeliest of ``choices``, or all of them where none is near."""
    close = get_close_matches(name, choices, n=3)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; choose from {', '.join(choices)}"
