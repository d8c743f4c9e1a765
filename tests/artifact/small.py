"""Small valid policies by hand, every part of which can be replaced by a wrong one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlcompress.artifact import (
    Action,
    Activation,
    Add,
    CompressedPolicy,
    Conv,
    Dense,
    Flatten,
    Golden,
    MaxPool,
    Observation,
    TensorType,
)

F32 = np.float32
U8 = TensorType((4,), "unsigned", 8, 0.1)


def dense(**changes):
    """4 unsigned inputs -> 3 float outputs, integer arithmetic."""
    fields = {
        "name": "mu",
        "inputs": (1,),
        "output": TensorType((3,)),
        "weight": np.arange(12, dtype=np.int8).reshape(3, 4),
        "multiplier": np.array([0.5], F32),
        "bias": np.array([1, 2, 3], np.int32),
    }
    return Dense(**{**fields, **changes})


FIRST = Dense(
    "first",
    (0,),
    U8,
    np.ones((4, 2), np.int8),
    np.array([0.5], F32),
    np.zeros(4, F32),
    "relu",
)
ACTION = Action("clip", (3,), np.full(3, -1, F32), np.ones(3, F32))


def mlp(last=None, *, action=ACTION, observation=None, golden=None, meta=None):
    ops = (FIRST, dense() if last is None else last)
    return CompressedPolicy(ops, observation or Observation((2,)), action, golden, meta or {})


IMAGE = Observation((8, 6, 2), True, False, 1 / 255)
STREAM = TensorType((6, 5, 3), "signed", 8, 0.1)


def conv(**changes):
    fields = {
        "name": "conv",
        "inputs": (0,),
        "output": STREAM,
        "weight": np.ones((3, 3, 2, 2), np.int8),
        "multiplier": np.full(3, 0.01, F32),
        "bias": np.zeros(3, np.int32),
    }
    return Conv(**{**fields, **changes})


def head(inputs):
    return Dense(
        "head", (inputs[0],), TensorType((3,)), np.ones((3, inputs[1]), np.int8),
        np.ones(1, F32), np.zeros(3, np.int32),
    )  # fmt: skip


def image_policy(*ops):
    """``ops`` on an image, then flattened and dense."""
    given = ops[-1].output
    flat = TensorType((given.size,), given.kind, given.bits, given.scale)
    tail = Flatten("flat", (len(ops),), flat), head((len(ops) + 1, given.size))
    if given.kind == "float":
        tail = tail[0], replace(tail[1], bias=np.zeros(3, F32))
    return CompressedPolicy((*ops, *tail), IMAGE, ACTION)


def pool(**changes):
    fields = {
        "name": "pool",
        "inputs": (1,),
        "output": TensorType((3, 3, 3), "signed", 8, 0.1),
        "kernel": (2, 2),
        "stride": (2, 2),
        "padding": (0, 1),
    }
    return MaxPool(**{**fields, **changes})


def add(**changes):
    fields = {"name": "add", "inputs": (1, 1), "output": STREAM, "multipliers": (0.5, 0.5)}
    return Add(**{**fields, **changes})


def activation(**changes):
    output = TensorType((6, 5, 3), "unsigned", 8, 0.1)
    fields = {"name": "act", "inputs": (1,), "output": output, "function": "relu"}
    return Activation(**{**fields, **changes})


def big(rows, columns, *, bits=8, value=127):
    """A policy whose dense layer adds up ``columns`` products."""
    given = TensorType((columns,), "unsigned", bits, 1.0)
    first = Dense(
        "wide", (0,), given, np.zeros((columns, 1), np.int8), np.ones(1, F32),
        np.zeros(columns, F32), "relu",
    )  # fmt: skip
    weight = np.full((rows, columns), value, np.int8)
    last = dense(weight=weight, bias=np.zeros(rows, np.int32), output=TensorType((rows,)))
    action = Action("argmax")
    return CompressedPolicy((first, last), Observation((1,)), action)


def golden(**changes):
    fields = {
        "observations": np.zeros((2, 2), F32),
        "outputs": np.zeros((2, 3), F32),
        "actions": np.zeros((2, 3), F32),
    }
    return Golden(**{**fields, **changes})


def nan_in(array):
    array = array.astype(F32)
    array.flat[-1] = np.nan
    return array


def cases(*tables):
    """Parameters out of tables of name -> (policy, message)."""
    return [pytest.param(*case, id=name) for table in tables for name, case in table.items()]


def refuse(policy, message):
    """Check that neither ``validate`` nor ``to_bytes`` takes ``policy``, in one line."""
    for method in (policy.validate, policy.to_bytes):
        with pytest.raises(ValueError, match=message) as caught:
            method()
        assert "\n" not in str(caught.value)
