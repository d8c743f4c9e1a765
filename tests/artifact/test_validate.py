"""Policies that are valid; every rule of observation, action and golden data, broken once."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from rlcompress.artifact import Action, CompressedPolicy, Observation, TensorType
from tests.artifact.small import (
    ACTION,
    F32,
    IMAGE,
    STREAM,
    activation,
    add,
    big,
    cases,
    conv,
    dense,
    golden,
    image_policy,
    mlp,
    nan_in,
    pool,
    refuse,
)
from tests.policies import policies

SQUASH = replace(ACTION, kind="squash")
ARGMAX = Action("argmax")
NORMAL = Observation((2,), mean=np.zeros(2, F32), inv_std=np.ones(2, F32))

VALID = {
    "mlp": mlp(),
    "clip without bounds": mlp(
        action=Action("clip", (3, 1), np.full(3, -np.inf, F32), np.full(3, np.inf, F32))
    ),
    "squash": mlp(action=SQUASH),
    "quantiles": mlp(action=replace(ARGMAX, quantiles=3, start=-1)),
    "normalised": mlp(observation=NORMAL),
    "golden": mlp(golden=golden()),
    "float bias on integers": mlp(dense(bias=np.zeros(3, F32))),
    "float weights": mlp(dense(weight=np.ones((3, 4), F32), bias=np.zeros(3, F32))),
    "one multiplier per output": mlp(dense(multiplier=np.ones(3, F32))),
    "all": image_policy(conv(), add(), replace(activation(), inputs=(2,)), pool(
        inputs=(3,), output=TensorType((3, 3, 3), "unsigned", 8, 0.1))),
    "values may be unused": image_policy(conv(), activation(), add()),
    "relu of few bits": image_policy(
        conv(), activation(output=TensorType((6, 5, 3), "unsigned", 7, 0.1))
    ),
    "tanh": image_policy(conv(), activation(output=STREAM, function="tanh")),
    "float": image_policy(
        conv(output=TensorType((6, 5, 3))),
        activation(output=TensorType((6, 5, 3)), function="hard_tanh", bound=0.5),
        add(inputs=(1, 2), output=TensorType((6, 5, 3)), multipliers=(1.0, 1.0)),
    ),
    "as wide as int32 allows": big(1, 66000),
}  # fmt: skip


@pytest.mark.parametrize("name", VALID)
def test_valid_policies_pass(name):
    VALID[name].validate()
    CompressedPolicy.from_bytes(VALID[name].to_bytes())


@given(policies())
def test_random_policies_pass(policy):
    policy.validate()


OBSERVATIONS = {
    "no observation": (replace(mlp(), observation=(2,)), "must be an Observation"),
    "no axis": (mlp(observation=Observation(())), "at least one axis"),
    "an empty axis": (mlp(observation=Observation((2, 0))), "integers of at least 1"),
    "a huge observation": (mlp(observation=Observation((2**25,))), "at most 16777216 elements"),
    "a list as shape": (mlp(observation=Observation([2])), "must be a tuple of integers"),
    "a flat image": (mlp(observation=Observation((2,), True)), "need a shape of three axes"),
    "flat channels first": (
        mlp(observation=Observation((2,), channels_first=True)), "need a shape of three axes"),
    "a number as flag": (mlp(observation=Observation((2,), image=1)), "image must be a bool"),
    "a scaled vector": (mlp(observation=Observation((2,), scale=0.5)), "scale must be 1.0 unless"),
    "no image scale": (
        replace(image_policy(conv()), observation=replace(IMAGE, scale=0.0)), "scale must be a"),
    "no clip": (mlp(observation=replace(NORMAL, clip=0.0)), "clip must be a number in"),
    "an infinite clip": (mlp(observation=replace(NORMAL, clip=np.inf)), "clip must be a number"),
    "a mean alone": (mlp(observation=replace(NORMAL, inv_std=None)), "must be given together"),
    "a normalised image": (
        replace(image_policy(conv()), observation=replace(
            IMAGE, mean=np.zeros((8, 6, 2), F32), inv_std=np.ones((8, 6, 2), F32))),
        "images cannot be normalised"),
    "a short mean": (mlp(observation=replace(NORMAL, mean=np.zeros(1, F32))), r"shape \(2,\)"),
    "a float64 mean": (mlp(observation=replace(NORMAL, mean=np.zeros(2))), "mean must be float32"),
    "NaN as mean": (mlp(observation=replace(NORMAL, mean=nan_in(np.ones(2)))), r"mean\[1\] is nan"),
    "zero as inv_std": (
        mlp(observation=replace(NORMAL, inv_std=np.zeros(2, F32))), r"inv_std\[0\] is 0.0"),
}  # fmt: skip

ACTIONS = {
    "no action": (mlp(action="clip"), "must be an Action"),
    "an unknown kind": (mlp(action=replace(ACTION, kind="softmax")), "clip, argmax or count"),
    "a shape that does not fit": (
        mlp(action=replace(ACTION, shape=(4,))), "must have 3 elements, one per output"),
    "no bounds": (mlp(action=replace(ACTION, low=None)), "low must be an array, got NoneType"),
    "two bounds": (mlp(action=replace(ACTION, low=np.zeros(2, F32))), r"float32 of shape \(3,\)"),
    "float64 bounds": (mlp(action=replace(ACTION, high=np.ones(3))), "high must be float32"),
    "NaN as bound": (
        mlp(action=replace(ACTION, low=nan_in(np.zeros(3)))), "low must not hold NaN"),
    "bounds crossed": (
        mlp(action=replace(ACTION, low=np.full(3, 2, F32))),
        r"low\[0\] is 2.0 and high\[0\] is 1.0"),
    "an infinite squash": (
        mlp(action=replace(SQUASH, high=np.full(3, np.inf, F32))), r"high\[0\] is inf"),
    "quantiles of a clip": (mlp(action=replace(ACTION, quantiles=3)), "belong to argmax"),
    "the start of a clip": (mlp(action=replace(ACTION, start=1)), "belong to argmax"),
    "a shape of argmax": (mlp(action=replace(ARGMAX, shape=(3,))), r"must be \(\), got \(3,\)"),
    "bounds of argmax": (mlp(action=replace(ACTION, kind="argmax", shape=())), "no low and high"),
    "odd quantiles": (mlp(action=replace(ARGMAX, quantiles=2)), "must divide the 3 outputs, got 2"),
    "no quantiles": (mlp(action=replace(ARGMAX, quantiles=0)), "must divide the 3 outputs, got 0"),
    "half a quantile": (mlp(action=replace(ARGMAX, quantiles=0.5)), "quantiles must be an integer"),
    "a far start": (mlp(action=replace(ARGMAX, start=2**40)), "start must lie in"),
}  # fmt: skip

GOLDEN = {
    "no golden": (mlp(golden=3), "golden data: must be a Golden"),
    "nothing golden": (mlp(golden=golden(outputs=np.zeros((0, 3), F32))), "at least one"),
    "golden lists": (mlp(golden=golden(outputs=[[1, 2, 3]])), "at least one observation"),
    "golden observations missing": (
        mlp(golden=golden(observations=np.zeros((1, 2), F32))), r"shape \(2, 2\)"),
    "golden float64": (mlp(golden=golden(observations=np.zeros((2, 2)))), "must be float32"),
    "golden NaN": (mlp(golden=golden(observations=nan_in(np.zeros((2, 2))))), "must be finite"),
    "golden outputs": (mlp(golden=golden(outputs=np.zeros((2, 4), F32))), r"shape \(2, 3\)"),
    "golden NaN outputs": (mlp(golden=golden(outputs=nan_in(np.zeros((2, 3))))), "must be finite"),
    "golden actions": (mlp(golden=golden(actions=np.zeros(2, np.int64))), "must be float32"),
    "golden NaN actions": (mlp(golden=golden(actions=nan_in(np.zeros((2, 3))))), "must be finite"),
    "golden choices": (
        mlp(action=ARGMAX, golden=golden(actions=np.array([0, 3]))), r"actions\[1\] is 3"),
    "golden choices of floats": (mlp(action=ARGMAX, golden=golden()), "must be int64"),
    "a list as meta": (mlp(meta=[1]), "meta must be a mapping, got list"),
    "numbers as keys": (mlp(meta={1: 2}), "meta must have strings as keys"),
    "NaN in meta": (mlp(meta={"return": float("nan")}), "meta must be what JSON can hold"),
    "arrays in meta": (mlp(meta={"a": np.zeros(3)}), "meta must be what JSON can hold"),
}  # fmt: skip


@pytest.mark.parametrize(("policy", "message"), cases(OBSERVATIONS, ACTIONS, GOLDEN))
def test_invalid_policies_are_refused(policy, message):
    refuse(policy, message)


def test_more_weights_than_a_policy_may_have(monkeypatch):
    monkeypatch.setattr("rlcompress.artifact.validate.TOTAL_WEIGHT_LIMIT", 19)
    with pytest.raises(ValueError, match="at most 19 weights, got 20"):
        mlp().validate()


def test_meta_comes_back_as_json_has_it():
    policy = mlp(meta={"b": [1, 2.5, None, True], "a": {"nested": "text"}})
    data = policy.to_bytes()
    assert CompressedPolicy.from_bytes(data).meta == policy.meta
    reordered = mlp(meta=json.loads(json.dumps(policy.meta, sort_keys=True)))
    assert reordered.to_bytes() == data
