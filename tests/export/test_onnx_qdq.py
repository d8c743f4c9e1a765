"""ONNX models give what the reference gives, in every runtime that is installed."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from rlcompress.artifact import Activation, AnyArray, CompressedPolicy, Dense, Flatten, Observation
from rlcompress.artifact.records import Action
from rlcompress.export.dequantise import dequantised
from rlcompress.export.onnx_qdq import IR_VERSION, OPSET, save_onnx, to_onnx
from rlcompress.runtime.reference import Reference
from tests.export.onnx_sessions import (
    Run,
    as_in_policy,
    run_onnxruntime,
    run_openvino,
    session,
    with_values,
)
from tests.policies import KINDS, random_observations, random_policy
from tests.policy_builder import Builder

onnx = pytest.importorskip("onnx")

RUNTIMES = {"onnxruntime": run_onnxruntime, "openvino": run_openvino}


def case(kind: str, seed: int, count: int = 8) -> tuple[CompressedPolicy, AnyArray]:
    rng = np.random.default_rng([seed, *kind.encode()])
    policy = random_policy(rng, kind)
    return policy, random_observations(rng, policy.observation, count)


def assert_close(given: AnyArray, expected: AnyArray, relative: float) -> None:
    np.testing.assert_allclose(given, expected, atol=relative * np.abs(expected).max() + 1e-6)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_every_value_is_within_one_step(kind: str, seed: int) -> None:
    policy, observations = case(kind, seed)
    model = to_onnx(policy, with_action=False)
    names = with_values(model, policy)
    given = run_onnxruntime(model, observations)
    expected = Reference(policy).values(observations)
    for value, tensor in zip(names, given[1:], strict=True):
        if isinstance(policy.ops[value - 1], Flatten):
            continue  # Its order is the graph's own; the value that it flattens is compared.
        integers = as_in_policy(tensor, policy, value)
        difference = np.abs(integers - expected[value].astype(np.int32))
        assert difference.max(initial=0) <= 1
        # A unit without weights is one constant, and may round the other way everywhere.
        assert np.mean(difference) <= 0.03
    if not names:
        assert_close(given[0], Reference(policy).forward(observations), 1e-5)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_those_of_the_reference(kind: str, runtime: str) -> None:
    policy, observations = case(kind, 10)
    given = RUNTIMES[runtime](to_onnx(policy, with_action=False), observations)[0]
    expected = Reference(policy).forward(observations)
    assert given.shape == expected.shape
    # A value that one runtime rounds the other way moves the output by one step of that value.
    assert_close(given, expected, 0.02)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("kind", KINDS)
def test_float_outputs_are_those_of_the_dequantised_policy(kind: str, runtime: str) -> None:
    policy, observations = case(kind, 20)
    model = to_onnx(policy, precision="float", with_action=False)
    assert not {"QuantizeLinear"} & {node.op_type for node in model.graph.node}
    given = RUNTIMES[runtime](model, observations)[0]
    assert_close(given, Reference(dequantised(policy)).forward(observations), 1e-5)


ACTIONS = {
    "squash": Action("squash", (2, 1), np.float32([-1, 0]), np.float32([2, 5])),
    "clip": Action("clip", (2,), np.float32([-0.25, -np.inf]), np.float32([0.25, np.inf])),
    "argmax": Action("argmax"),
    "argmax from -1": Action("argmax", start=-1),
    "quantiles": Action("argmax", quantiles=5, start=3),
}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", ACTIONS)
def test_actions_of_every_head(name: str, runtime: str) -> None:
    action = ACTIONS[name]
    rng = np.random.default_rng(8)
    mean, inv_std = np.float32([0.5, -1, 0, 2]), np.float32([1, 2, 0.5, 4])
    observation = Observation((2, 2), mean=mean, inv_std=inv_std, clip=1.5)
    builder = Builder(rng, observation, sparsity=0.3)
    builder.dense(12)
    builder.dense(2 if action.kind != "argmax" else 4 * action.quantiles, "none", final=True)
    last = builder.ops[-1]
    assert isinstance(last, Dense)
    builder.ops[-1] = replace(last, bias=0 * last.bias)  # So that no action always wins.
    policy = builder.policy(action)
    observations = random_observations(rng, policy.observation, 100)
    given = RUNTIMES[runtime](to_onnx(policy), observations)[0]
    expected = Reference(policy)(observations)
    assert given.shape == expected.shape and given.dtype == expected.dtype
    if action.kind == "argmax":
        assert np.mean(given == expected) >= 0.99
        assert len(np.unique(expected)) > 1
    else:
        np.testing.assert_allclose(given, expected, atol=1e-5)


@pytest.mark.parametrize("run", RUNTIMES.values(), ids=RUNTIMES)
def test_batch_is_dynamic(run: Run) -> None:
    policy, observations = case("residual", 0, 7)
    model = to_onnx(policy, with_action=False)
    whole = run(model, observations)[0]
    for part in (observations[:1], observations[2:5]):
        assert len(run(model, part)[0]) == len(part)
    np.testing.assert_array_equal(run(model, observations[2:5])[0], whole[2:5])


def test_long_stream_takes_the_same_actions() -> None:
    rng = np.random.default_rng(5)
    builder = Builder(rng, Observation((9, 9, 2), True, False, 1 / 255), sparsity=0.8)
    builder.conv(8, (3, 3), stride=(2, 2))
    builder.flatten()
    builder.dense(32)
    builder.dense(5, "none", final=True)
    policy = builder.policy(Action("argmax"))
    observations = random_observations(rng, policy.observation, 10_000)
    given = run_onnxruntime(to_onnx(policy), observations)[0]
    outputs = Reference(policy).forward(observations)
    best = np.sort(outputs, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-3 * np.ptp(outputs)
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(given[clear], outputs.argmax(1)[clear])


def test_integer_layers_fuse_into_integer_kernels(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    policy, _ = case("residual", 0)
    policy = random_policy(np.random.default_rng(0), "residual", bits=(8, 8))
    path = str(tmp_path / "optimised.onnx")
    session(runtime, to_onnx(policy), path)
    found = Counter(node.op_type for node in onnx.load(path).graph.node)
    assert not found["Conv"] and not found["Gemm"] and not found["MatMul"]
    assert found["QLinearConv"] == 3 and found["QGemm"] == 2


def test_openvino_computes_every_convolution_in_integers() -> None:
    openvino = pytest.importorskip("openvino")
    builder = Builder(np.random.default_rng(0), Observation((20, 20, 4), True, False, 1 / 255))
    for _ in range(2):
        builder.conv(16, (4, 4), stride=(2, 2))
    builder.flatten()
    builder.dense(3, "none", final=True)
    model = to_onnx(builder.policy(Action("argmax")), exact_limits=False)
    core = openvino.Core()
    options = {"PERF_COUNT": True, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", options)
    request = compiled.create_infer_request()
    request.infer([np.zeros((1, 20, 20, 4), np.uint8)])
    info = request.get_profiling_info()
    kinds = [row.exec_type for row in info if row.node_type == "Convolution"]
    assert len(kinds) == 2
    assert all(kind.upper().endswith(("I8", "U8")) for kind in kinds), kinds


def test_model_states_names_and_versions(tmp_path: Path) -> None:
    policy, _ = case("conv", 0)
    path = tmp_path / "policy.onnx"
    assert save_onnx(policy, path) == path.stat().st_size
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == IR_VERSION and model.opset_import[0].version == OPSET
    assert [tensor.name for tensor in model.graph.input] == ["observation"]
    assert [tensor.name for tensor in model.graph.output] == ["action"]
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert shape[0].dim_param == "batch"
    assert tuple(dim.dim_value for dim in shape[1:]) == policy.observation.shape


def test_signed_values_may_use_all_of_a_byte() -> None:
    policy, observations = case("residual", 1)
    exact = [node.op_type for node in to_onnx(policy).graph.node]
    loose = to_onnx(policy, with_action=False, exact_limits=False)
    assert "Clip" in exact
    if policy.meta["bits"][1] == 8:
        assert "Clip" not in [node.op_type for node in loose.graph.node]
    given = run_onnxruntime(loose, observations)[0]
    assert_close(given, Reference(policy).forward(observations), 0.1)


@dataclass(frozen=True)
class Softplus(Activation):
    """An op that this package does not have."""


def test_unknown_op_is_named() -> None:
    policy, _ = case("mlp_tanh", 0)
    output = policy.values[-1]
    strange = Softplus("strange.0", (len(policy.ops),), output, "relu")
    with pytest.raises(ValueError, match=r"strange\.0: ONNX export knows no Softplus"):
        to_onnx(replace(policy, ops=(*policy.ops, strange)))


def test_unknown_precision() -> None:
    policy, _ = case("mlp", 0)
    with pytest.raises(ValueError, match="precision must be 'int8' or 'float', got 'int4'"):
        to_onnx(policy, precision="int4")  # type: ignore[arg-type]


def test_without_onnx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, _ = case("mlp", 0)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"rlcompress\[onnx\]"):
        to_onnx(policy)
