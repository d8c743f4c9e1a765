"""A binary policy is the same in numpy, as an artifact, in the engine and in C."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from rlcompress.artifact import BinaryDense, CompressedPolicy, Encode, TensorType
from rlcompress.binary.policy import BinaryPolicy, thaw
from rlcompress.export.c_source import to_c
from rlcompress.runtime.engine import Engine, available_isas
from rlcompress.runtime.reference import Reference
from tests.binary.networks import cartpole_bits, observations, policies
from tests.export.c_host import Program, assert_equal, compiler


@settings(max_examples=40, deadline=None)
@given(policies())
def test_artifact_and_engine_are_the_definition(policy: BinaryPolicy) -> None:
    seen = observations(policy, 40)
    frozen = policy.freeze(seen)
    found = CompressedPolicy.from_bytes(frozen.to_bytes())
    assert found.to_bytes() == frozen.to_bytes()
    expected = policy.act(seen)
    assert np.array_equal(Reference(found)(seen), expected)
    assert np.array_equal(thaw(found).act(seen), expected)
    for isa in available_isas() or ["auto"]:
        for reuse in (False, True):
            engine = Engine(found, isa=isa, reuse=reuse)
            assert np.array_equal(engine(seen), expected), (isa, reuse)
            assert np.array_equal(engine.forward(seen), Reference(found).forward(seen))


def test_a_cartpole_controller_in_c(tmp_path: Path) -> None:
    policy = cartpole_bits()
    seen = observations(policy, 200)
    frozen = policy.freeze(seen)
    source = to_c(frozen, "pole")
    assert sum(source.data_bytes.values()) < 700
    for flags in (["-std=c99", "-O2"], ["-std=gnu11", "-O3", "-march=native"]):
        build = [compiler("gcc"), "-Wall", "-Wextra", "-Werror", *flags]
        program = Program(tmp_path / flags[0], [source], build)
        assert program.wrong_golden(0) == 0
        assert_equal(program, 0, frozen, seen)


@settings(max_examples=6, deadline=None)
@given(policies())
def test_any_policy_in_c(tmp_path_factory: pytest.TempPathFactory, policy: BinaryPolicy) -> None:
    seen = observations(policy, 30)
    frozen = policy.freeze(seen)
    build = [compiler("gcc"), "-Wall", "-Wextra", "-Werror", "-std=c99"]
    program = Program(tmp_path_factory.mktemp("bits"), [to_c(frozen, "bits")], build)
    assert_equal(program, 0, frozen, seen)


def changed(**fields) -> CompressedPolicy:
    """The CartPole policy with fields of its ops replaced: ``encoder``, ``hidden``, ``last``."""
    policy = cartpole_bits()
    frozen = policy.freeze(observations(policy, 4))
    names = ("encoder", "hidden", "last")
    ops = [replace(op, **fields.get(name, {})) for name, op in zip(names, frozen.ops, strict=True)]
    return replace(frozen, ops=tuple(ops), golden=None)


EDGES = np.zeros((4, 16), np.float32)
BITS = TensorType((64,), "binary", 1)
WRONG = {
    "edges that fall": ({"encoder": {"edges": -np.cumsum(EDGES + 1, 1)}}, "edges must ascend"),
    "edges that are no numbers": ({"encoder": {"edges": EDGES + np.nan}}, "edges must be finite"),
    "edges of float64": ({"encoder": {"edges": EDGES.astype(float)}}, "edges must be float32"),
    "too few edges": ({"encoder": {"edges": EDGES[:, :3]}}, r"output shape must be \(12,\)"),
    "an unknown code": ({"encoder": {"code": "octal"}}, "code must be one of"),
    "an encoder of floats": ({"encoder": {"output": TensorType((64,))}}, "output must be binary"),
    "two bits": ({"encoder": {"output": replace(BITS, bits=2)}}, "bits must be in 1..1"),
    "a scale": ({"hidden": {"output": replace(BITS, scale=0.5)}}, "scale of a binary must be 1.0"),
    "int8 weights": ({"hidden": {"weight": np.ones((64, 64), np.int8)}}, "weight must be bool"),
    "another shape": ({"hidden": {"weight": np.ones((64, 63), bool)}}, r"of shape \(64, 64\)"),
    "a bias too large": ({"hidden": {"bias": np.full(64, 2**31 - 1, np.int32)}}, "bias must lie"),
    "float biases": ({"hidden": {"bias": np.zeros(64, np.float32)}}, "bias must be int32"),
    "sums beyond float32": ({"last": {"bias": np.array([2**24], np.int32)}}, "beyond the integers"),
    "bits as the output": (
        {"last": {"output": TensorType((1,), "binary", 1)}}, "last op's output must be float"),
    "bits read twice": ({"last": {"inputs": (0,)}}, "binary values are what a BinaryDense reads"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_forged_ops_are_refused(name: str) -> None:
    fields, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        changed(**fields).validate()


def test_every_damaged_byte_is_refused_or_harmless() -> None:
    """Checksums aside: whatever the program and streams say, loading is an error or a policy."""
    from rlcompress.artifact.reader import read_program
    from rlcompress.artifact.writer import write_program

    policy = cartpole_bits(hidden=(9,))
    data = write_program(policy.freeze(observations(policy, 4)))[0]
    rng = np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            damaged[place] ^= 1 << int(rng.integers(8))
        try:
            found = read_program(bytes(damaged))
            CompressedPolicy(found.ops, found.observation, found.action).validate()
        except ValueError:
            continue


def test_thaw_refuses_other_policies() -> None:
    frozen = changed()
    assert isinstance(frozen.ops[0], Encode) and isinstance(frozen.ops[1], BinaryDense)
    normalised = replace(
        frozen.observation, mean=np.zeros(4, np.float32), inv_std=np.ones(4, np.float32)
    )
    with pytest.raises(ValueError, match="not an encoder"):
        thaw(replace(frozen, observation=normalised))
