"""Every rule an op must keep, each broken once."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from rlcompress.artifact import CompressedPolicy, Flatten, TensorType
from tests.artifact.small import (
    ACTION,
    F32,
    FIRST,
    IMAGE,
    STREAM,
    activation,
    add,
    big,
    cases,
    conv,
    dense,
    head,
    image_policy,
    mlp,
    nan_in,
    pool,
    refuse,
)


def typed(**changes):
    return dense(output=replace(TensorType((3,), "signed", 8, 0.1), **changes))


OPS = {
    "no ops": (replace(mlp(), ops=()), "tuple of at least one op"),
    "a list of ops": (replace(mlp(), ops=[FIRST]), "tuple of at least one op"),
    "a foreign op": (
        mlp(SimpleNamespace(name="lstm")),
        r"op 1 'lstm' \(SimpleNamespace\): SimpleNamespace is not an op; known are Dense, Conv",
    ),
    "two of one name": (mlp(dense(name="first")), "op 1 'first' .Dense.: its name must differ"),
    "no name": (mlp(dense(name="")), "name must be 1 to 200 printable"),
    "a name of two lines": (mlp(dense(name="a\nb")), "name must be 1 to 200 printable"),
    "a long name": (mlp(dense(name="a" * 201)), "name must be 1 to 200 printable"),
    "a name that is none": (mlp(dense(name=3)), "name must be 1 to 200 printable"),
    "a later value": (mlp(dense(inputs=(2,))), r"inputs must be values before it \(0..1\)"),
    "a negative value": (mlp(dense(inputs=(-1,))), "inputs must be a tuple of 1 integers"),
    "two inputs": (mlp(dense(inputs=(0, 1))), "inputs must be a tuple of 1 integers"),
    "one input of add": (image_policy(conv(), add(inputs=(1,))), "tuple of 2 integers"),
    "a list of inputs": (mlp(dense(inputs=[1])), "inputs must be a tuple of 1 integers"),
    "a fractional input": (mlp(dense(inputs=(1.0,))), "inputs must be a tuple of 1 integers"),
    "a true input": (mlp(dense(inputs=(True,))), "inputs must be a tuple of 1 integers"),
    "no type": (mlp(dense(output=(3,))), "output must be a TensorType"),
    "an empty output": (mlp(typed(shape=(0,))), "integers of at least 1, got .0"),
    "many axes": (mlp(typed(shape=(1,) * 9)), "at most 8 axes"),
    "a huge output": (mlp(typed(shape=(2**13, 2**12))), "at most 16777216 elements"),
    "an unknown kind": (mlp(typed(kind="int4")), "one of float, unsigned, signed, binary, "),
    "1 bit": (mlp(typed(bits=1)), "bits must be in 2..8, got 1"),
    "9 bits": (mlp(typed(bits=9)), "bits must be in 2..8, got 9"),
    "fractional bits": (mlp(typed(bits=8.0)), "bits must be in 2..8, got 8.0"),
    "no scale": (mlp(typed(scale=0.0)), "scale must be a number in"),
    "a negative scale": (mlp(typed(scale=-0.1)), "scale must be a number in"),
    "an infinite scale": (mlp(typed(scale=np.inf)), "scale must be a number in"),
    "NaN as scale": (mlp(typed(scale=np.nan)), "scale must be a number in"),
    "a scale float32 cannot hold": (mlp(typed(scale=1e-45)), "scale must be a number in"),
    "text as scale": (mlp(typed(scale="1")), "scale must be a number in"),
    "a scaled float": (mlp(typed(kind="float")), "scale of a float must be 1.0, got 0.1"),
    "a quantised end": (mlp(typed()), "last op's output must be float with one axis"),
    "an end of three axes": (
        CompressedPolicy((conv(output=TensorType((6, 5, 3))),), IMAGE, ACTION),
        r"float with one axis, got float of shape \(6, 5, 3\)",
    ),
}

LINEARS = {
    "a matrix that does not fit": (
        mlp(dense(weight=np.ones((3, 5), np.int8))), "must have 4 columns, one per input, got 5"),
    "an output that does not fit": (
        mlp(dense(output=TensorType((4,)))), r"output shape must be \(3,\), got \(4,\)"),
    "a list of weights": (mlp(dense(weight=[[1]])), "weight must be an int8 or float32 array"),
    "int16 weights": (mlp(dense(weight=np.ones((3, 4), np.int16))), "array, got int16"),
    "float64 weights": (mlp(dense(weight=np.ones((3, 4)))), "array, got float64"),
    "weights of three axes": (mlp(dense(weight=np.ones((3, 4, 1), np.int8))), "must have 2 axes"),
    "no weights": (mlp(dense(weight=np.ones((0, 4), np.int8))), "and not be empty"),
    "minus 128": (
        mlp(dense(weight=np.full((3, 4), -128, np.int8))), r"weight\[0, 0\] is -128"),
    "NaN weights": (mlp(dense(
        weight=nan_in(np.ones((3, 4))), bias=np.zeros(3, F32))), r"weight\[2, 3\] is nan"),
    "infinite weights": (mlp(dense(
        weight=np.full((3, 4), np.inf, F32), bias=np.zeros(3, F32))), r"weight\[0, 0\] is inf"),
    "two multipliers": (mlp(dense(multiplier=np.ones(2, F32))), r"float32 of shape \(3,\)"),
    "a float64 multiplier": (mlp(dense(multiplier=np.ones(1))), "multiplier must be float32"),
    "a scalar multiplier": (mlp(dense(multiplier=np.ones((), F32))), "multiplier must be float32"),
    "a number as multiplier": (mlp(dense(multiplier=1.0)), "multiplier must be an array"),
    "no multiplier": (mlp(dense(multiplier=np.ones(0, F32))), "multiplier must be float32"),
    "a zero multiplier": (mlp(dense(multiplier=np.zeros(1, F32))), r"multiplier\[0\] is 0.0"),
    "a negative multiplier": (
        mlp(dense(multiplier=np.array([1, 1, -1], F32))), r"multiplier\[2\] is -1.0"),
    "NaN as multiplier": (
        mlp(dense(multiplier=nan_in(np.ones(3)))), r"multiplier\[2\] is nan"),
    "an infinite multiplier": (
        mlp(dense(multiplier=np.full(1, np.inf, F32))), r"multiplier\[0\] is inf"),
    "a list of biases": (mlp(dense(bias=[1, 2, 3])), "bias must be an int32 or float32 array"),
    "int64 biases": (mlp(dense(bias=np.ones(3, np.int64))), "array, got int64"),
    "two biases": (mlp(dense(bias=np.ones(2, np.int32))), r"bias must be int32 of shape \(3,\)"),
    "NaN biases": (mlp(dense(bias=nan_in(np.ones(3)))), r"bias\[2\] is nan"),
    "int32 biases on float weights": (
        mlp(dense(weight=np.ones((3, 4), F32))), "an int32 bias needs int8 weights"),
    "int32 biases on a float input": (
        mlp(dense(inputs=(0,), weight=np.ones((3, 2), np.int8))), "and a quantised input"),
    "a large bias": (
        mlp(dense(bias=np.array([1, 2**30 + 1, 3], np.int32))), r"bias\[1\] is 1073741825"),
    "the smallest int32 as bias": (
        mlp(dense(bias=np.full(3, -(2**31), np.int32))), r"bias\[0\] is -2147483648"),
    "an accumulator that overflows": (big(2, 67000), "output 0 can reach 2169795000, beyond"),
    "an unknown function": (mlp(dense(function="gelu")), "one of none, relu, tanh, hard_tanh"),
    "a list as function": (mlp(dense(function=["relu"])), "one of none, relu, tanh, hard_tanh"),
    "no bound": (mlp(dense(function="hard_tanh", bound=0.0)), "bound must be a number in"),
    "NaN as bound": (mlp(dense(function="hard_tanh", bound=np.nan)), "bound must be a number in"),
    "signed relu": (
        image_policy(conv(function="relu")), "output after 'relu' must be unsigned, got signed"),
    "unsigned without relu": (
        image_policy(conv(output=replace(STREAM, kind="unsigned"))), "after 'none' must be signed"),
    "unsigned tanh": (
        image_policy(conv(output=replace(STREAM, kind="unsigned"), function="tanh")),
        "after 'tanh' must be signed"),
}  # fmt: skip

OTHERS = {
    "dense on an image": (
        CompressedPolicy((head((0, 96)),), IMAGE, ACTION), "put a Flatten before it"),
    "a convolution on a vector": (
        mlp(conv(inputs=(1,))), r"must be \(height, width, channels\), got shape \(4,\)"),
    "channels that do not fit": (
        image_policy(conv(weight=np.ones((3, 3, 2, 4), np.int8))), "2 channels"),
    "a kernel that does not fit": (
        image_policy(conv(weight=np.ones((3, 9, 2, 2), np.int8))), "larger than the input of"),
    "a convolution's output": (
        image_policy(conv(stride=(2, 1))), r"output shape must be \(3, 5, 3\), got \(6, 5, 3\)"),
    "no stride": (image_policy(conv(stride=(0, 1))), "stride must be a tuple of 2 integers"),
    "negative padding": (image_policy(conv(padding=(-1, 0))), "padding must be a tuple of 2"),
    "huge padding": (image_policy(conv(padding=(60_000,) * 2)), "padded input must have at most"),
    "padding beyond all": (image_policy(conv(padding=(2**16, 0))), "padding must be below 65536"),
    "a number as stride": (image_policy(conv(stride=1)), "stride must be a tuple of 2 integers"),
    "a pool's output": (image_policy(conv(), pool(padding=(0, 0))), "output shape must be"),
    "a pool's kernel": (image_policy(conv(), pool(kernel=(0, 2))), "kernel must be a tuple of 2"),
    "a pool of padding": (
        image_policy(conv(), pool(padding=(2, 1), output=replace(STREAM, shape=(5, 3, 3)))),
        r"padding must be at most half the kernel \(2, 2\)"),
    "a pool that rescales": (
        image_policy(conv(), pool(output=TensorType((3, 3, 3), "signed", 8, 0.2))),
        "of its input's type, signed of 8 bits, scale 0.1, got signed of 8 bits, scale 0.2"),
    "a flatten that rescales": (
        CompressedPolicy((conv(), Flatten("flat", (1,), TensorType((90,)))), IMAGE, ACTION),
        "output must be of its input's type"),
    "a flatten that reshapes": (
        CompressedPolicy((conv(), Flatten("flat", (1,), STREAM)), IMAGE, ACTION),
        r"output shape must be \(90,\)"),
    "a sum of two shapes": (
        image_policy(conv(), add(inputs=(0, 1))), r"one shape, got \(8, 6, 2\) and \(6, 5, 3\)"),
    "a sum's shape": (
        image_policy(conv(), add(output=replace(STREAM, shape=(6, 5, 4)))), "output shape must be"),
    "a sum of two sorts": (
        image_policy(conv(), add(output=TensorType((6, 5, 3)))), "all float or all quantised"),
    "three multipliers": (image_policy(conv(), add(multipliers=(1.0,) * 3)), "a tuple of two"),
    "a multiplier of a sum": (
        image_policy(conv(), add(multipliers=(1.0, np.nan))), "multipliers must be a number in"),
    "a scaled float sum": (
        image_policy(
            conv(output=TensorType((6, 5, 3))), add(output=TensorType((6, 5, 3)))),
        r"of a float sum must be \(1.0, 1.0\)"),
    "no activation": (image_policy(conv(), activation(function="none")), "got 'none'"),
    "an unknown activation": (image_policy(conv(), activation(function="elu")), "got 'elu'"),
    "an activation's shape": (
        image_policy(conv(), activation(output=TensorType((6, 5, 4), "unsigned", 8, 0.1))),
        "output shape must be"),
    "an activation of two sorts": (
        image_policy(conv(), activation(output=TensorType((6, 5, 3)))), "both be float or both"),
    "a relu that rescales": (
        image_policy(conv(), activation(output=TensorType((6, 5, 3), "unsigned", 8, 0.2))),
        "relu must give unsigned integers of scale 0.1"),
    "a relu that clips": (
        image_policy(conv(), activation(output=TensorType((6, 5, 3), "unsigned", 6, 0.1))),
        "up to at least 127, got unsigned of 6 bits"),
    "a signed relu": (
        image_policy(conv(), activation(output=STREAM)), "relu must give unsigned"),
    "an unsigned tanh": (
        image_policy(conv(), activation(function="tanh")), "output of tanh must be signed"),
}  # fmt: skip


@pytest.mark.parametrize(("policy", "message"), cases(OPS, LINEARS, OTHERS))
def test_invalid_ops_are_refused(policy, message):
    refuse(policy, message)


@pytest.mark.parametrize(("policy", "message"), cases(LINEARS, OTHERS))
def test_objections_to_an_op_name_it(policy, message):
    with pytest.raises(ValueError, match=r"^op \d '\w+' \(\w+\): "):
        policy.validate()


def test_more_work_than_a_layer_may_do(monkeypatch):
    monkeypatch.setattr("rlcompress.artifact.shapes.MAC_LIMIT", 36 * 30)
    image_policy(conv()).validate()
    monkeypatch.setattr("rlcompress.artifact.shapes.MAC_LIMIT", 36 * 30 - 1)
    with pytest.raises(ValueError, match="at most 1079 multiply-accumulates, it needs 1080"):
        image_policy(conv()).validate()


def test_the_accumulator_bound_counts_weights_not_columns():
    policy = big(1, 67000)
    policy.ops[1].weight[0, :1000] = 0
    policy.validate()
