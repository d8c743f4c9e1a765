"""Typed reading of JSON from a file nobody vouches for; knows nothing of policies.

Whatever is missing, unknown, of another type or out of range is a ValueError that names the field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

_REQUIRED: Any = object()


def parse_object(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in ``data``: strict JSON in UTF-8, no key twice."""
    try:
        parsed = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is not valid JSON ({error})") from None
    if not isinstance(parsed, dict):
        raise ValueError(f"{what} must be a JSON object, got {type(parsed).__name__}")
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def nearest(name: str, choices: Iterable[str]) -> str:
    """What to say after an unknown name: the nearest choice, or all of them."""
    choices = list(choices)
    close = get_close_matches(name, choices, 1)
    return f" (did you mean {close[0]!r}?)" if close else f" (known are {', '.join(choices)})"


class Fields:
    """One JSON object, taken apart field by field; ``finish`` refuses what nobody asked for."""

    def __init__(self, source: object, what: str) -> None:
        if not isinstance(source, dict):
            raise ValueError(f"{what} must be a JSON object, got {source!r:.40}")
        self._fields = dict(source)
        self._what = what

    def has(self, name: str) -> bool:
        """Whether a field is there."""
        return name in self._fields

    def raw(self, name: str, default: Any = _REQUIRED) -> Any:
        """A field as it is, for a reader that checks by itself."""
        if name not in self._fields and default is _REQUIRED:
            raise ValueError(f"{self._what} has no {name!r}")
        return self._fields.pop(name, default)

    def text(self, name: str, choices: tuple[str, ...] | None = None) -> str:
        """A string, one of ``choices`` where given."""
        value = self.raw(name)
        if not isinstance(value, str) or (choices is not None and value not in choices):
            expected = "a string" if choices is None else f"one of {', '.join(choices)}"
            self._refuse(name, expected, value)
        return str(value)

    def flag(self, name: str) -> bool:
        """Whether a flag is set; it is absent otherwise."""
        value = self.raw(name, False)
        if not isinstance(value, bool):
            self._refuse(name, "true or false", value)
        return bool(value)

    def integer(self, name: str, default: Any = _REQUIRED, *, low: int, high: int) -> int:
        """An integer in ``low .. high``."""
        value = self.raw(name, default)
        if type(value) is not int or not low <= value <= high:
            self._refuse(name, f"an integer in {low}..{high}", value)
        return int(value)

    def number(self, name: str, default: Any = _REQUIRED) -> float:
        """A finite number."""
        value = self.raw(name, default)
        if type(value) is not float or not math.isfinite(value):
            self._refuse(name, "a finite number with a decimal point", value)
        return float(value)

    def integers(
        self,
        name: str,
        default: Any = _REQUIRED,
        *,
        count: tuple[int, int],
        low: int = 0,
        high: int,
    ) -> tuple[int, ...]:
        """A list of ``count[0] .. count[1]`` integers in ``low .. high``."""
        value = self.raw(name, default)
        if not (
            isinstance(value, list)
            and count[0] <= len(value) <= count[1]
            and all(type(item) is int and low <= item <= high for item in value)
        ):
            length = str(count[0]) if count[0] == count[1] else f"{count[0]} to {count[1]}"
            self._refuse(name, f"a list of {length} integers in {low}..{high}", value)
        return tuple(value)

    def pair(self, name: str, default: Any = _REQUIRED, *, low: int, high: int) -> tuple[int, int]:
        """Two integers in ``low .. high``."""
        first, second = self.integers(name, default, count=(2, 2), low=low, high=high)
        return first, second

    def finish(self) -> None:
        """Refuse fields that were not asked for."""
        if self._fields:
            raise ValueError(f"{self._what} has an unknown field {next(iter(self._fields))!r:.40}")

    def _refuse(self, name: str, expected: str, value: object) -> None:
        raise ValueError(f"{self._what}: {name} must be {expected}, got {value!r:.60}")
