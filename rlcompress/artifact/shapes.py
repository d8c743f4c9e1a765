"""Shape arithmetic of ops, and how large a policy may be; knows no op records and no files.

The limits are far above any policy for control. They exist so that a number read from a file is
bounded before anything is computed or allocated from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

VALUE_LIMIT = 2**24
"""Most elements of one value (of one sample), and of a convolution's or pool's padded input."""

WINDOW_LIMIT = 2**16
"""What strides and paddings are below."""

WEIGHT_LIMIT = 2**27
"""Most weights of one layer."""

TOTAL_WEIGHT_LIMIT = 2**28
"""Most weights of one policy."""

MAC_LIMIT = 2**34
"""Most multiply-accumulates of one layer."""

EDGE_LIMIT = 1024
"""Most edges of one encoded input."""

AXES_LIMIT = 8
"""Most axes of an observation or action."""

Pair = tuple[int, int]


def check_size(what: str, shape: Sequence[int], limit: int = VALUE_LIMIT) -> int:
    """The number of elements of ``shape``, at least one and at most ``limit``."""
    if len(shape) > AXES_LIMIT:
        raise ValueError(f"{what} must have at most {AXES_LIMIT} axes, got {len(shape)}")
    if any(length < 1 for length in shape):
        raise ValueError(f"{what} must have lengths of at least 1, got {tuple(shape)}")
    size = math.prod(shape)
    if size > limit:
        raise ValueError(f"{what} must have at most {limit} elements, got {tuple(shape)}")
    return size


def window_shape(
    shape: Sequence[int], channels: int, kernel: Pair, stride: Pair, padding: Pair
) -> tuple[int, int, int]:
    """(height, width, channels) after a window of ``kernel`` has moved over ``shape``."""
    if len(shape) != 3:
        raise ValueError(f"its input must be (height, width, channels), got shape {tuple(shape)}")
    padded = [shape[axis] + 2 * padding[axis] for axis in (0, 1)]
    check_size("its padded input", [*padded, shape[2]])
    lengths = [(padded[axis] - kernel[axis]) // stride[axis] + 1 for axis in (0, 1)]
    if min(lengths) < 1:
        raise ValueError(
            f"its kernel {kernel} is larger than the input of {tuple(shape[:2])} "
            f"with padding {padding}"
        )
    check_size("its output", [*lengths, channels])
    return lengths[0], lengths[1], channels


def code_bits(code: str, edges: int) -> int:
    """Bits that an input with so many edges becomes."""
    if code == "one_hot":
        return edges + 1
    return edges.bit_length() if code == "gray" else edges


def check_weights(shape: Sequence[int], positions: int = 1) -> int:
    """Number of weights of a layer that is applied at ``positions`` places, within the limits."""
    size = check_size("its weight", shape, WEIGHT_LIMIT)
    if size * positions > MAC_LIMIT:
        raise ValueError(
            f"it must need at most {MAC_LIMIT} multiply-accumulates, it needs {size * positions}"
        )
    return size
