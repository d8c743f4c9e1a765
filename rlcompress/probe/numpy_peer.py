"""The network as numpy expressions, float32: what one writes without any runtime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlcompress.artifact import (
    Activation,
    Add,
    AnyArray,
    CompressedPolicy,
    Conv,
    Flatten,
    Linear,
    MaxPool,
    Op,
)
from rlcompress.probe.registry import Request, Runner, Timed, backend
from rlcompress.probe.subject import Subject
from rlcompress.runtime.numerics import act, prepare


@backend("numpy_float", what="actor", form="floating", tolerance=1e-3)
def numpy_float(subject: Subject, request: Request) -> Runner:
    """Matrix products of numpy's BLAS, convolutions as matrix products over patches."""
    policy = subject.floating
    steps = [(step(op), op.inputs) for op in policy.ops]

    def run(value: AnyArray) -> AnyArray:
        values = [value]
        for function, inputs in steps:
            values.append(function(*(values[k] for k in inputs)))
        return values[-1]

    return Runner(
        run,
        lambda observations: np.asarray(prepare(policy.observation, observations), np.float32),
        lambda argument, returned: act(policy.action, returned),
        more={"policy": Timed(_whole(policy, run))},
    )


def _whole(
    policy: CompressedPolicy, run: Callable[[AnyArray], AnyArray]
) -> Callable[[AnyArray], AnyArray]:
    """From observation to action as one would write it: no checks, numpy's own tanh."""
    observation, action, shape = policy.observation, policy.action, policy.observation.value.shape

    def whole(seen: AnyArray) -> AnyArray:
        x = seen.astype(np.float32)
        if observation.mean is not None and observation.inv_std is not None:
            normalised = (x - observation.mean) * observation.inv_std
            x = np.clip(normalised, -observation.clip, observation.clip)
        if observation.channels_first and len(observation.shape) == 3:
            x = x.transpose(0, 2, 3, 1)
        y = run(x.reshape(-1, *shape))
        if action.kind == "argmax":
            ranked = y.reshape(len(y), action.quantiles, -1).sum(axis=1)
            return np.asarray(ranked.argmax(axis=1) + action.start)
        assert action.low is not None and action.high is not None
        if action.kind == "squash":
            return action.low + 0.5 * (np.tanh(y) + 1) * (action.high - action.low)
        return np.clip(y, action.low, action.high)

    return whole


def step(op: Op) -> Callable[..., AnyArray]:
    """One op of a float policy as a function of its inputs."""
    if isinstance(op, Linear):
        return _linear(op)
    if isinstance(op, MaxPool):
        return lambda x: _windows(
            np.pad(x, _border(op.padding), constant_values=-np.inf), op.kernel, op.stride
        ).max(axis=(4, 5))
    if isinstance(op, Add):
        return np.add
    if isinstance(op, Flatten):
        return lambda x: x.reshape(len(x), -1)
    assert isinstance(op, Activation)
    return _function(op)


def _linear(op: Linear) -> Callable[[AnyArray], AnyArray]:
    matrix = np.ascontiguousarray((op.matrix * op.multiplier.reshape(-1, 1)).T, np.float32)
    bias, function = op.bias, _function(op)
    if not isinstance(op, Conv):
        return lambda x: function(x @ matrix + bias)
    kernel, stride, padding = op.weight.shape[1:3], op.stride, op.padding

    def run(x: AnyArray) -> AnyArray:
        padded = np.pad(x, _border(padding)) if any(padding) else x
        windows = _windows(padded, kernel, stride).transpose(0, 1, 2, 4, 5, 3)
        rows = windows.reshape(*windows.shape[:3], -1)
        return function(rows @ matrix + bias)

    return run


def _function(op: Linear | Activation) -> Callable[[AnyArray], AnyArray]:
    if op.function == "relu":
        return lambda x: np.maximum(x, 0)
    if op.function == "tanh":
        return np.tanh
    if op.function == "hard_tanh":
        return lambda x: np.clip(x, -op.bound, op.bound)
    return lambda x: x


def _border(padding: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    return (0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)


def _windows(x: AnyArray, kernel: tuple[int, ...], stride: tuple[int, int]) -> AnyArray:
    """(batch, rows, columns, channels, kernel height, kernel width)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(1, 2))
    return windows[:, :: stride[0], :: stride[1]]
