"""The float32 arithmetic at a network's edges and between its layers; runs no layer itself.

Everything here is a fixed sequence of single float32 operations (+, -, *, /, comparison, rint),
each rounded on its own, so that numpy, C++ and C agree bit for bit. Two rules make that hold for
every input: a comparison picks the *second* operand when it is false (``x > low ? x : low``, what
SSE's ``max`` does), so not-a-number becomes the lower limit; and nothing is ever contracted into a
fused multiply-add.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rlcompress.artifact.records import (
    Action,
    AnyArray,
    FloatArray,
    Function,
    Observation,
    TensorType,
)

# w(x) = 2 tanh(x / 2) = x - x s P(s) / Q(s) with s = x^2, then tanh(x) = w / (1 + w^2 / 4). P and Q
# were fitted in extended precision by iteratively reweighted least squares (Lawson) to the
# smallest maximal error on [0, 9.2], weighted by what an error in P / Q does to tanh in ulps (what
# is left of it is 0.003), and rounded to float32. Over every float32 in (0, 10] the result is at
# most 1.878 ulp from tanh; it is exactly 1 from 8.80968 on, below the limit.
TANH_NUMERATOR = (0.083333336, 0.0012514247, 2.799306e-06)
"""P of ``tanh``: coefficients of s^0, s^1, s^2, to be read as float32."""
TANH_DENOMINATOR = (1.0, 0.11501708, 0.0014162578, 2.8936931e-06)
"""Q of ``tanh``: coefficients of s^0 to s^3, to be read as float32."""
TANH_LIMIT = 9.02
"""``tanh`` clamps its argument to +- this (as float32)."""

_P = tuple(np.float32(c) for c in TANH_NUMERATOR)
_Q = tuple(np.float32(c) for c in TANH_DENOMINATOR)
_ONE = np.float32(1)
_QUARTER = np.float32(0.25)
_HALF = np.float32(0.5)


def tanh(x: npt.ArrayLike) -> FloatArray:
    """Hyperbolic tangent of float32, at most 2 ulp from true, the same bits everywhere.

    Odd (tanh(-x) = -tanh(x); both zeros give +0), exactly +-1 beyond +-8.81, -1 for not-a-number.
    The last step is written in two ways, because 1 + k rounds away what matters when k is small:
    w / (1 + k) from |x| = 1 on, w - w k / (1 + k) below.
    """
    c = clamp(np.asarray(x, np.float32), -TANH_LIMIT, TANH_LIMIT)
    s = c * c
    p = (_P[2] * s + _P[1]) * s + _P[0]
    q = ((_Q[3] * s + _Q[2]) * s + _Q[1]) * s + _Q[0]
    w = c - c * (s * (p / q))
    k = _QUARTER * (w * w)
    small = s < _ONE
    r = np.where(small, w * k, w) / (k + _ONE)
    result: FloatArray = np.where(small, w - r, r)
    return result


def clamp(x: FloatArray, low: npt.ArrayLike, high: npt.ArrayLike) -> FloatArray:
    """``x > low ? x : low``, then ``x < high ? x : high``; not-a-number becomes ``low``."""
    low, high = np.asarray(low, np.float32), np.asarray(high, np.float32)
    x = np.where(x > low, x, low)
    return np.where(x < high, x, high)


def relu(x: FloatArray) -> FloatArray:
    """``x > 0 ? x : 0``; -0 and not-a-number become +0."""
    return np.where(x > 0, x, np.float32(0))


def activate(function: Function, x: FloatArray, bound: float) -> FloatArray:
    """The activation ``function`` of real values; ``bound`` is the limit of ``hard_tanh``."""
    if function == "relu":
        return relu(x)
    if function == "tanh":
        return tanh(x)
    if function == "hard_tanh":
        return clamp(x, -bound, bound)
    return x


def storage(held: TensorType) -> np.dtype[Any]:
    """Numpy type in which values of this tensor type are held."""
    return np.dtype(
        "float32" if held.kind == "float" else "int8" if held.kind == "signed" else "uint8"
    )


def to_integers(x: FloatArray, output: TensorType) -> AnyArray:
    """``clamp(rint(x))`` to the limits of a quantised type; rint rounds half to even.

    ``fmax`` and ``fmin`` are faster than ``clamp`` and differ from it in the sign of a zero only.
    """
    low, high = output.limits
    rounded: FloatArray = np.fmax(np.rint(x), np.float32(low))
    clamped: FloatArray = np.fmin(rounded, np.float32(high))
    return clamped.astype(storage(output))


def quantise(real: FloatArray, output: TensorType) -> AnyArray:
    """A real value as ``output`` holds it: float32 as it is, otherwise scaled and rounded."""
    if output.kind == "float":
        return real
    return to_integers(real * output.inverse_scale, output)


def is_single(observation: Observation, observations: AnyArray) -> bool:
    """Whether this is one observation (True) or a batch; ValueError where it is neither."""
    shape = observation.shape
    if observations.shape == shape:
        return True
    if observations.shape[1:] == shape and observations.ndim == len(shape) + 1:
        return False
    batch = ", ".join(["n", *map(str, shape)])
    raise ValueError(
        f"observation must have shape {shape}, or ({batch}) for a batch, got {observations.shape}"
    )


def prepare(observation: Observation, observations: npt.ArrayLike) -> AnyArray:
    """Value 0 of one observation or a batch, always with a batch axis.

    Images must be uint8 and stay so, moved to (height, width, channels). Anything else is cast to
    float32 and normalised there. ValueError names a wrong shape or dtype and the first element
    that is not finite (in float32).
    """
    given = np.asarray(observations)
    single = is_single(observation, given)
    if observation.image:
        if given.dtype != np.uint8:
            raise ValueError(
                f"image observations must be uint8 as the environment gives them, got {given.dtype}"
            )
        batch: AnyArray = given[None] if single else given
    else:
        batch = normalise(observation, _finite(given))
        batch = batch[None] if single else batch
    if observation.channels_first and len(observation.shape) == 3:
        batch = batch.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(batch).reshape(-1, *observation.value.shape)


def act(action: Action, outputs: FloatArray) -> AnyArray:
    """Actions (float32 (n, *shape), or int64 (n,) for integers) of raw outputs (n, outputs)."""
    if action.kind == "argmax":
        best: AnyArray = np.argmax(_ranked(action, outputs), axis=1).astype(np.int64)
        return best + action.start
    if action.kind == "count":
        return _count(action, outputs)
    low, high = _flat(action.low), _flat(action.high)
    with np.errstate(over="ignore", invalid="ignore"):
        if action.kind == "clip":
            actions = clamp(outputs, low, high)
        else:
            actions = low + (_HALF * (tanh(outputs) + _ONE)) * (high - low)
    return actions.reshape(-1, *action.shape)


def _count(action: Action, outputs: FloatArray) -> AnyArray:
    """How many outputs are above 0, as an integer or as far as that is from low to high."""
    if action.low is None:
        counted: AnyArray = (outputs > 0).sum(axis=1).astype(np.int64)
        return counted + action.start
    low, high = _flat(action.low), _flat(action.high)
    grouped = outputs.reshape(len(outputs), low.size, -1)
    counts = (grouped > 0).sum(axis=2).astype(np.float32)
    actions: FloatArray = low + counts * ((high - low) / np.float32(grouped.shape[2]))
    return actions.reshape(-1, *action.shape)


def _ranked(action: Action, outputs: FloatArray) -> FloatArray:
    """One number per action: quantiles summed in order; not-a-number never wins."""
    actions = outputs.shape[1] // action.quantiles
    grouped = outputs.reshape(len(outputs), action.quantiles, actions)
    with np.errstate(over="ignore", invalid="ignore"):
        total = grouped[:, 0]
        for quantile in range(1, action.quantiles):
            total = total + grouped[:, quantile]
    return np.where(np.isnan(total), np.float32(-np.inf), total)


def _finite(given: npt.NDArray[Any]) -> FloatArray:
    """``given`` in float32; ValueError for other than numbers, and for what is not finite."""
    if given.dtype.kind not in "biuf":
        raise ValueError(f"observation must hold real numbers, got dtype {given.dtype}")
    with np.errstate(over="ignore"):
        values = given.astype(np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"observation must be finite in float32, got {given[index]} at index "
            f"{index[0] if len(index) == 1 else index}"
        )
    return values


def normalise(observation: Observation, values: FloatArray) -> FloatArray:
    """float32 observations as the policy sees them; the same where it does not normalise."""
    if observation.mean is None or observation.inv_std is None:
        return values
    shape = observation.shape
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (values - observation.mean.reshape(shape)) * observation.inv_std.reshape(shape)
    return clamp(scaled, -observation.clip, observation.clip)


def _flat(limits: FloatArray | None) -> FloatArray:
    assert limits is not None, "validated policies with a continuous action have limits"
    return limits.reshape(-1)
