"""Small checks that ``validate.py`` and ``validate_ops.py`` share; know no records."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

SCALE_RANGE = (2.0**-100, 2.0**100)
"""Scales and multipliers lie in here: they and their inverses are normal float32 numbers."""


def require(condition: object, message: str) -> None:
    """ValueError with ``message`` unless ``condition``."""
    if not condition:
        raise ValueError(message)


def is_integer(value: object) -> bool:
    """Whether ``value`` is an integer, of Python or numpy, and not a truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_integers(what: str, values: object, *, count: int | None = None, low: int) -> None:
    """A tuple of (``count``) integers of at least ``low``."""
    expected = "integers" if count is None else f"{count} integers"
    require(
        isinstance(values, tuple)
        and count in (None, len(values))
        and all(is_integer(value) and value >= low for value in values),
        f"{what} must be a tuple of {expected} of at least {low}, got {values!r:.60}",
    )


def check_number(what: str, value: object, low: float, high: float) -> None:
    """A number in ``low .. high``."""
    require(
        isinstance(value, float | np.floating | int)
        and not isinstance(value, bool)
        and low <= value <= high,
        f"{what} must be a number in {low:.3g}..{high:.3g}, got {value!r:.40}",
    )


def check_scale(what: str, value: object) -> None:
    """A finite, positive scale that float32 can invert."""
    check_number(what, value, *SCALE_RANGE)


def check_array(what: str, array: Any, dtype: str, shape: tuple[int, ...]) -> None:
    """An array of ``dtype`` and ``shape``."""
    require(isinstance(array, np.ndarray), f"{what} must be an array, got {type(array).__name__}")
    require(
        str(array.dtype) == dtype and array.shape == tuple(shape),
        f"{what} must be {dtype} of shape {tuple(shape)}, got {array.dtype} of {array.shape}",
    )


def check_finite(what: str, array: Any) -> None:
    """No NaN and no infinity in a float array."""
    finite = np.isfinite(array)
    if not finite.all():
        index = tuple(int(axis) for axis in np.argwhere(~finite)[0])
        raise ValueError(f"{what} must be finite, {what}{list(index)} is {array[index]}")


def check_within(what: str, array: Any, low: float, high: float) -> None:
    """Every number of an array in ``low .. high``; NaN is not."""
    if array.size and not (array.min() >= low and array.max() <= high):
        index = np.argwhere(~((array >= low) & (array <= high)))[0]
        raise ValueError(
            f"{what} must lie in {low:.3g}..{high:.3g}, "
            f"{what}{[int(axis) for axis in index]} is {array[tuple(index)]}"
        )


def product(shape: tuple[int, ...]) -> int:
    """Number of elements of a checked shape."""
    return math.prod(int(length) for length in shape)
