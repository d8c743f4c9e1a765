"""Binary networks as bits and integers, and their plain definition; packs and speeds up nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]

WIDTH_LIMIT = 2**20
"""Most inputs, and most neurons, of a layer."""

BIAS_LIMIT = 2**30
"""Largest magnitude of a bias."""


@dataclass(frozen=True)
class BinaryLayer:
    """Weights (outputs, inputs), True for +1 and False for -1, and an integer bias per output."""

    weight: BoolArray
    bias: IntArray

    def __post_init__(self) -> None:
        if self.weight.dtype != np.bool_ or self.weight.ndim != 2 or not self.weight.size:
            raise ValueError(
                "weight must be a bool array (outputs, inputs) that is not empty, got "
                f"{self.weight.dtype} of shape {self.weight.shape}"
            )
        if self.bias.dtype != np.int32 or self.bias.shape != self.weight.shape[:1]:
            raise ValueError(
                f"bias must be int32 of shape {self.weight.shape[:1]}, got {self.bias.dtype} of "
                f"shape {self.bias.shape}"
            )
        if np.abs(self.bias.astype(np.int64)).max() > BIAS_LIMIT:
            raise ValueError(f"bias must lie in +-{BIAS_LIMIT}")

    @property
    def thresholds(self) -> npt.NDArray[np.int64]:
        """A neuron of N inputs fires where fewer than ceil((N + b) / 2) bits differ."""
        offsets: npt.NDArray[np.int64] = self.weight.shape[1] + self.bias.astype(np.int64)
        return (offsets + 1) >> 1


@dataclass(frozen=True)
class BinaryNetwork:
    """Layers of binary neurons; the last one's outputs are the integers themselves.

    With x and W of +-1 a layer computes z = W x + b, and a hidden neuron gives +1 where z > 0 and
    -1 elsewhere, also where z = 0.
    """

    layers: tuple[BinaryLayer, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("a network must have at least one layer")
        for before, after in pairwise(self.layers):
            if after.weight.shape[1] != before.weight.shape[0]:
                raise ValueError(
                    f"a layer of {before.weight.shape[0]} outputs cannot precede one of "
                    f"{after.weight.shape[1]} inputs"
                )

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Inputs, then the outputs of every layer."""
        inputs = self.layers[0].weight.shape[1]
        return (inputs, *(layer.weight.shape[0] for layer in self.layers))

    @property
    def weight_bits(self) -> int:
        """Number of weights."""
        return sum(layer.weight.size for layer in self.layers)

    @property
    def flat_weights(self) -> Bytes:
        """All weights as bytes of 0 and 1, layer by layer, neuron by neuron."""
        parts = [layer.weight.reshape(-1) for layer in self.layers]
        return np.concatenate(parts).astype(np.uint8)

    @property
    def flat_biases(self) -> IntArray:
        """All biases, layer by layer."""
        return np.concatenate([layer.bias for layer in self.layers])

    @property
    def size_bytes(self) -> dict[str, int]:
        """Bytes of the weights alone, and with a threshold of one byte for every neuron."""
        weights = -(-self.weight_bits // 8)
        return {"weights": weights, "with_thresholds": weights + self.flat_biases.size}

    def forward(self, bits: npt.ArrayLike) -> IntArray:
        """Outputs (n, outputs) of samples (n, inputs) of True and False, by the definition."""
        x = np.asarray(bits, np.bool_)
        for layer in self.layers[:-1]:
            x = _weighted_sum(layer, x) > 0
        return _weighted_sum(self.layers[-1], x).astype(np.int32)


def _weighted_sum(layer: BinaryLayer, x: BoolArray) -> npt.NDArray[np.int64]:
    signs = 2 * x.astype(np.int64) - 1
    weights = 2 * layer.weight.astype(np.int64) - 1
    total: npt.NDArray[np.int64] = signs @ weights.T + layer.bias
    return total


def check_widths(widths: Sequence[int]) -> tuple[int, ...]:
    """``widths`` as a tuple; ValueError where no network has them."""
    if len(widths) < 2 or not all(1 <= width <= WIDTH_LIMIT for width in widths):
        raise ValueError(
            f"widths must be at least two numbers in 1..{WIDTH_LIMIT}, got {list(widths)}"
        )
    return tuple(int(width) for width in widths)


def shapes_of(widths: Sequence[int]) -> list[tuple[int, int]]:
    """(outputs, inputs) of every layer."""
    return [(after, before) for before, after in pairwise(widths)]


def count_weights(widths: Sequence[int]) -> int:
    """Weights of a network."""
    return sum(outputs * inputs for outputs, inputs in shapes_of(widths))


def from_flat(
    widths: Sequence[int], weights: npt.ArrayLike, biases: npt.ArrayLike | None = None
) -> BinaryNetwork:
    """The network of flat weights (0 and 1) and biases (None: all 0)."""
    shapes = shapes_of(check_widths(widths))
    flat = np.asarray(weights).astype(np.bool_)
    outputs = sum(shape[0] for shape in shapes)
    given = np.zeros(outputs, np.int32) if biases is None else np.asarray(biases).astype(np.int32)
    if flat.shape != (count_weights(widths),) or given.shape != (outputs,):
        raise ValueError(
            f"a network of widths {list(widths)} has {count_weights(widths)} weights and {outputs} "
            f"biases, got {flat.shape} and {given.shape}"
        )
    layers, at, place = [], 0, 0
    for shape in shapes:
        size = shape[0] * shape[1]
        layers.append(
            BinaryLayer(flat[at : at + size].reshape(shape), given[place : place + shape[0]])
        )
        at, place = at + size, place + shape[0]
    return BinaryNetwork(tuple(layers))
