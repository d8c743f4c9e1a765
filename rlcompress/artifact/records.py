"""The types of a compressed policy: tensor types, op records, observation, action, golden data.

Knows nothing of files (``file.py``), encodings (``codec.py``) or of how a policy is run
(``rlcompress.runtime``). Arrays are numpy; whoever holds a record must not write to them.

A policy is a list of ops in single-assignment form: value 0 is the (prepared) observation and op k
writes value k + 1. The last value is the network's raw output, always float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
AnyArray = npt.NDArray[Any]

Kind = Literal["float", "unsigned", "signed", "binary"]
Code = Literal["thermometer", "one_hot", "gray"]
Function = Literal["none", "relu", "tanh", "hard_tanh"]

BIAS_LIMIT = 2**30
"""Largest magnitude of an int32 bias, so that accumulator plus bias cannot overflow."""


@dataclass(frozen=True)
class TensorType:
    """What one value holds: shape without batch ((n,) or (height, width, channels)), kind, scale.

    ``unsigned`` is 0 .. 2^bits - 1 with zero point 0, ``signed`` is +-(2^(bits-1) - 1), ``binary``
    is a bit that stands for +-1 and that only ``BinaryDense`` reads. ``scale`` is the real size of
    one integer step (1.0 for ``float`` and ``binary``).
    """

    shape: tuple[int, ...]
    kind: Kind = "float"
    bits: int = 8
    scale: float = 1.0

    @property
    def size(self) -> int:
        """Number of elements of one sample."""
        return int(np.prod(self.shape))

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest integer of a quantised value."""
        if self.kind in ("unsigned", "binary"):
            return 0, 2**self.bits - 1
        largest = int(2 ** (self.bits - 1) - 1)
        return -largest, largest

    @property
    def inverse_scale(self) -> np.float32:
        """float32(1 / float32(scale)): what a real value is multiplied with before rounding."""
        inverse: np.float32 = np.float32(1.0) / np.float32(self.scale)
        return inverse


@dataclass(frozen=True)
class Linear:
    """A dense layer or a convolution's arithmetic: weights, multiplier, bias, fused activation.

    ``weight`` is int8 or float32; ``bias`` is int32 at scale input x weight (integer arithmetic:
    int8 weights and a quantised input) or float32 (float arithmetic). ``multiplier`` (float32, one
    element or one per output channel) is what the accumulator is multiplied with:

    - integer, quantised output, ``none`` or ``relu``: ``y = clamp(rint(f32(acc + bias) * m))``
    - integer, otherwise: ``h = f(f32(acc + bias) * m)``
    - float: ``h = f(acc * m + bias)``, acc the float32 sum of x * f32(w) in ascending column order,
      a quantised input entering as f32(its integers)

    where a quantised output of a real ``h`` is ``clamp(rint(h * output.inverse_scale))`` and
    f is the fused ``function`` (``relu`` with a quantised output is the clamp of an unsigned type).
    ``bound`` is the limit of ``hard_tanh``: clip(h, -bound, bound).
    """

    name: str
    inputs: tuple[int, ...]
    output: TensorType
    weight: AnyArray
    multiplier: FloatArray
    bias: AnyArray
    function: Function = "none"
    bound: float = 1.0

    @property
    def integer(self) -> bool:
        """Whether the accumulator is int32."""
        return self.bias.dtype == np.int32

    @property
    def matrix(self) -> AnyArray:
        """Weights as (outputs, inputs); a convolution's columns run over (row, column, channel)."""
        return self.weight.reshape(self.weight.shape[0], -1)


@dataclass(frozen=True)
class Dense(Linear):
    """Fully connected layer; ``weight`` (outputs, inputs)."""


@dataclass(frozen=True)
class Conv(Linear):
    """2-d convolution over (height, width, channels); ``weight`` (outputs, kh, kw, channels).

    ``stride`` and zero ``padding`` are (vertical, horizontal). No groups, no dilation.
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class MaxPool:
    """Max pooling; the border is padded with the smallest value of the type (-inf for float)."""

    name: str
    inputs: tuple[int, ...]
    output: TensorType
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Add:
    """Residual addition of two values of one shape.

    Quantised: ``clamp(rint(f32(f32(a) * m_a) + f32(f32(b) * m_b)))``; float: ``a + b``.
    """

    name: str
    inputs: tuple[int, ...]
    output: TensorType
    multipliers: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class Activation:
    """An activation that no layer could take in; ``function`` as in ``Linear`` (never ``none``).

    A quantised ``relu`` keeps the integers and the scale: max(x, 0) (its output is ``unsigned``).
    ``tanh`` and ``hard_tanh`` of a quantised value: ``clamp(rint(f(f32(x) * f32(input scale)) *
    output.inverse_scale))``.
    """

    name: str
    inputs: tuple[int, ...]
    output: TensorType
    function: Function
    bound: float = 1.0


@dataclass(frozen=True)
class Flatten:
    """(height, width, channels) to one axis in that order; moves nothing."""

    name: str
    inputs: tuple[int, ...]
    output: TensorType


@dataclass(frozen=True)
class Encode:
    """Float numbers to bits by how many of a number's edges lie strictly below it, c.

    ``edges`` (inputs, edges of each) float32 ascend. An input's bits lie side by side:
    ``thermometer`` sets the first c, ``one_hot`` (one more than edges) bit c, ``gray`` those of
    c ^ (c >> 1), the lowest first.
    """

    name: str
    inputs: tuple[int, ...]
    output: TensorType
    edges: FloatArray
    code: Code = "thermometer"


@dataclass(frozen=True)
class BinaryDense:
    """Bits to z = W x + b in integers, W and x of +-1: float32(z), or the bits z > 0 (strictly).

    ``weight`` is bool (outputs, inputs), True for +1; ``bias`` is int32.
    """

    name: str
    inputs: tuple[int, ...]
    output: TensorType
    weight: AnyArray
    bias: AnyArray


Op = Dense | Conv | MaxPool | Add | Activation | Flatten | Encode | BinaryDense


@dataclass(frozen=True)
class Observation:
    """What the environment hands over and how it becomes value 0.

    ``shape`` is the environment's own. ``image``: uint8 observations of three axes become value 0
    as they are (``unsigned``, 8 bits; ``scale`` 1/255 or 1), moved to (height, width, channels)
    where ``channels_first``. Otherwise value 0 is the flattened float32 observation, or (height,
    width, channels) for three float axes, normalised as ``clip((x - mean) * inv_std, -clip, clip)``
    in float32 where ``mean`` is given (None: not normalised), in the environment's layout: ``mean``
    and ``inv_std`` have the shape ``shape``.
    """

    shape: tuple[int, ...]
    image: bool = False
    channels_first: bool = False
    scale: float = 1.0
    mean: FloatArray | None = None
    inv_std: FloatArray | None = None
    clip: float = 10.0

    @property
    def value(self) -> TensorType:
        """Type of value 0."""
        shape = self.shape
        if len(shape) == 3:
            if self.channels_first:
                shape = (shape[1], shape[2], shape[0])
        else:
            shape = (int(np.prod(shape)),)
        if self.image:
            return TensorType(shape, "unsigned", 8, self.scale)
        return TensorType(shape)


@dataclass(frozen=True)
class Action:
    """How the raw output becomes the environment's action.

    - ``squash``: ``low + (0.5 * (tanh(y) + 1)) * (high - low)`` (SAC, TQC, TD3, DDPG, squashed
      gSDE)
    - ``clip``: ``clip(y, low, high)`` (PPO, A2C on Box spaces)
    - ``argmax``: ``start`` + index of the largest, the first of equals (DQN; PPO on Discrete). With
      ``quantiles`` > 1 the output is (quantiles, actions) and is summed over quantiles in order.
    - ``count``: how many outputs are above 0: ``start`` plus that, or in a Box, of the outputs
      (elements, levels), ``low + count * ((high - low) / levels)``

    ``shape`` is the environment's (() for one integer); ``low`` and ``high`` are flat.
    """

    kind: Literal["squash", "clip", "argmax", "count"]
    shape: tuple[int, ...] = ()
    low: FloatArray | None = None
    high: FloatArray | None = None
    quantiles: int = 1
    start: int = 0

    @property
    def discrete(self) -> bool:
        """Whether an action is one integer."""
        return self.kind == "argmax" or (self.kind == "count" and self.low is None)


@dataclass(frozen=True)
class Golden:
    """Recorded observations, raw outputs (n, outputs) and actions of the reference, each n long."""

    observations: AnyArray
    outputs: FloatArray
    actions: AnyArray


@dataclass(frozen=True)
class PolicyData:
    """A trained actor as numbers; ``policy.CompressedPolicy`` adds files, checks and a summary.

    ``golden`` is None only while the artifact is being built. ``meta`` is JSON-able: where it came
    from, weights kept before and after dead-unit removal, zeros that rounding added.
    """

    ops: tuple[Op, ...]
    observation: Observation
    action: Action
    golden: Golden | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> tuple[TensorType, ...]:
        """Types of all values: the observation's, then one per op."""
        return (self.observation.value, *(op.output for op in self.ops))

    @property
    def linears(self) -> tuple[Linear, ...]:
        """The ops that have numbers as weights, in order."""
        return tuple(op for op in self.ops if isinstance(op, Linear))

    @property
    def weighted(self) -> tuple[Linear | BinaryDense, ...]:
        """The ops that have weights, in order."""
        return tuple(op for op in self.ops if isinstance(op, Linear | BinaryDense))
