"""Random valid policies for tests of whatever reads one; owns no assertion about how they run.

``random_policy(rng, kind=..., sparsity=...)`` builds one policy from a numpy generator and
``policies()`` is the hypothesis strategy over all kinds. Shapes are small. The policies carry no
golden data (``random_golden`` makes well-formed, meaningless ones).
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from rlcompress.artifact.policy import CompressedPolicy
from rlcompress.artifact.records import (
    Action,
    AnyArray,
    Function,
    Golden,
    Observation,
)
from tests.policy_builder import Arithmetic, Builder, as_float32

KINDS: dict[str, tuple[str, Arithmetic]] = {
    "mlp": ("mlp", "integer"),
    "mlp_tanh": ("mlp_tanh", "integer"),
    "mlp_weight_only": ("mlp", "weight_only"),
    "mlp_float": ("mlp", "float"),
    "mlp_mixed": ("mlp_tanh", "mixed"),
    "conv": ("conv", "integer"),
    "conv_weight_only": ("conv", "weight_only"),
    "conv_float": ("conv", "float"),
    "conv_mixed": ("conv", "mixed"),
    "residual": ("residual", "integer"),
    "residual_weight_only": ("residual", "weight_only"),
    "residual_float": ("residual", "float"),
    "residual_mixed": ("residual", "mixed"),
}
"""Every kind ``random_policy`` knows: its shape and its arithmetic."""


def random_policy(
    rng: np.random.Generator,
    kind: str | None = None,
    *,
    sparsity: float | None = None,
    bits: tuple[int, int] | None = None,
) -> CompressedPolicy:
    """A valid policy of one of ``KINDS`` (None: any) with ``sparsity`` (None: mixed, 0 to 1).

    ``bits`` are those of weights and activations, each 2 to 8 (None: mostly 8).
    """
    if kind is None:
        kind = str(rng.choice(list(KINDS)))
    if bits is None:
        low = rng.random() < 0.25
        bits = (int(rng.integers(2, 9)), int(rng.integers(2, 9))) if low else (8, 8)
    body, arithmetic = KINDS[kind]
    observation = _observation(rng, "vector" if body.startswith("mlp") else "image")
    builder = Builder(rng, observation, arithmetic=arithmetic, sparsity=sparsity, bits=bits)
    if body == "conv":
        _conv_body(builder)
    elif body == "residual":
        _residual_body(builder)
    else:
        _mlp_body(builder, tanh=body == "mlp_tanh")
    return builder.policy(_head(builder), meta={"kind": kind, "bits": list(bits)})


@st.composite
def policies(draw: st.DrawFn, kinds: tuple[str, ...] = tuple(KINDS)) -> CompressedPolicy:
    """Strategy of valid policies of the given kinds, all bit widths and sparsities 0 to 1."""
    seed = draw(st.integers(0, 2**32 - 1))
    kind = draw(st.sampled_from(kinds))
    sparsity = draw(st.none() | st.floats(0, 1))
    bits = draw(st.just((8, 8)) | st.tuples(st.integers(2, 8), st.integers(2, 8)))
    return random_policy(np.random.default_rng(seed), kind, sparsity=sparsity, bits=bits)


def random_observations(
    rng: np.random.Generator, observation: Observation, count: int = 4
) -> AnyArray:
    """``count`` observations of the right shape and dtype."""
    shape = (count, *observation.shape)
    if observation.image:
        return rng.integers(0, 256, shape).astype(np.uint8)
    return rng.normal(0, 1.5, shape).astype(np.float32)


def random_golden(rng: np.random.Generator, policy: CompressedPolicy, count: int = 3) -> Golden:
    """Golden data of the right shapes and dtypes that no reference has computed."""
    action = policy.action
    outputs = rng.normal(0, 1, (count, policy.values[-1].size)).astype(np.float32)
    if action.kind == "argmax":
        actions: AnyArray = rng.integers(0, outputs.shape[1] // action.quantiles, count)
        actions = actions.astype(np.int64) + action.start
    else:
        actions = np.zeros((count, *action.shape), np.float32)
    return Golden(random_observations(rng, policy.observation, count), outputs, actions)


def assert_same(found: Any, expected: Any, where: str = "policy") -> None:
    """Two policies, records or arrays are equal, types of arrays included."""
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype, where
        np.testing.assert_array_equal(found, expected, err_msg=where)
    elif is_dataclass(expected):
        assert type(found) is type(expected), where
        for field in fields(expected):
            inner = f"{where}.{field.name}"
            assert_same(getattr(found, field.name), getattr(expected, field.name), inner)
    elif isinstance(expected, tuple):
        assert len(found) == len(expected), where
        for index, pair in enumerate(zip(found, expected, strict=True)):
            assert_same(*pair, f"{where}[{index}]")
    else:
        assert found == expected, where


def _observation(rng: np.random.Generator, what: str) -> Observation:
    if what == "image" and rng.random() < 0.8:
        side = (int(rng.integers(9, 13)), int(rng.integers(9, 13)))
        depth = int(rng.integers(1, 5))
        first = bool(rng.random() < 0.5)
        image = (depth, *side) if first else (*side, depth)
        return Observation(image, True, first, as_float32(1 / 255) if rng.random() < 0.8 else 1.0)
    shape: tuple[int, ...]
    if what == "image":
        shape = (int(rng.integers(9, 12)), int(rng.integers(9, 12)), int(rng.integers(1, 4)))
    elif rng.random() < 0.8:
        shape = (int(rng.integers(1, 20)),)
    else:
        shape = (int(rng.integers(1, 4)), int(rng.integers(1, 6)))
    first = len(shape) == 3 and bool(rng.random() < 0.3)
    if first:
        shape = (*shape[2:], *shape[:2])
    if rng.random() < 0.5:
        return Observation(shape, channels_first=first)
    mean = rng.normal(0, 0.5, shape).astype(np.float32)
    inv_std = rng.uniform(0.5, 2, shape).astype(np.float32)
    return Observation(shape, False, first, 1.0, mean, inv_std, float(rng.choice([2.5, 10.0])))


def _mlp_body(builder: Builder, *, tanh: bool) -> None:
    for _ in range(int(builder.rng.integers(0, 4))):
        functions: tuple[Function, ...] = ("tanh", "hard_tanh", "none") if tanh else ("relu",)
        function = functions[int(builder.rng.integers(len(functions)))]
        builder.dense(int(builder.rng.integers(1, 40)), function)
        if function == "none":
            builder.activation("hard_tanh", 0.75) if tanh else builder.activation("relu")


def _conv_body(builder: Builder) -> None:
    rng = builder.rng
    kernel = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    builder.conv(int(rng.integers(1, 9)), kernel, stride=stride)
    if rng.random() < 0.5:
        builder.pool((3, 2), (2, 1), (1, 0) if rng.random() < 0.5 else (1, 1))
    padding = (int(rng.integers(0, 2)), int(rng.integers(0, 3)))
    kernel = (2 if builder.type_of(builder.last).shape[0] > 1 else 1, 1)
    function: Function = "tanh" if rng.random() < 0.2 else "relu"
    builder.conv(int(rng.integers(1, 9)), kernel, function, padding=padding)
    _flattened(builder)
    builder.dense(int(rng.integers(1, 20)))


def _flattened(builder: Builder) -> None:
    """A value that was an image, read by a dense layer or by what goes element by element."""
    # Draws of its own: policies without these readers stay what they were.
    rng = builder.rng.spawn(1)[0]
    flat = builder.flatten()
    size = builder.type_of(flat).shape[0]
    if rng.random() < 0.3 and builder.arithmetic != "mixed" and size <= 200:
        sums = (flat, builder.dense(size, "none"))
        builder.add(*(sums if rng.random() < 0.5 else sums[::-1]))
    if rng.random() < 0.3:
        builder.activation("relu")


def _residual_body(builder: Builder) -> None:
    """A stack of the IMPALA network: convolution, pool, residual block, ReLU, dense."""
    rng = builder.rng
    channels = int(rng.integers(1, 7))
    mixed = builder.arithmetic == "mixed"
    if mixed:  # An addition wants two values of one sort, so only the weights stay mixed inside.
        builder.arithmetic = "integer" if rng.random() < 0.5 else "weight_only"
    builder.conv(channels, (3, 3), "none", padding=(int(rng.integers(0, 2)),) * 2)
    stream = builder.pool((3, 3), (2, 2), (1, 1) if rng.random() < 0.5 else (0, 0))
    builder.activation("relu")
    builder.conv(channels, (3, 3), "relu", padding=(1, 1))
    branch = builder.conv(channels, (3, 3), "none", padding=(1, 1))
    builder.add(stream, branch)
    if mixed:
        builder.arithmetic = "mixed"
    if rng.random() < 0.2:
        builder.activation("tanh")
    else:
        builder.activation("relu")
    _flattened(builder)
    builder.dense(int(rng.integers(1, 20)))


def _head(builder: Builder) -> Action:
    rng = builder.rng
    kind = str(rng.choice(["squash", "clip", "argmax"]))
    count = int(rng.integers(1, 7))
    if kind == "argmax":
        quantiles = int(rng.choice([1, 5]))
        builder.dense(count * quantiles, "none", final=True)
        return Action("argmax", quantiles=quantiles, start=int(rng.choice([0, -2, 1])))
    builder.dense(count, "none", final=True)
    low = rng.uniform(-2, 0, count).astype(np.float32)
    high = (low + rng.uniform(0.1, 3, count)).astype(np.float32)
    if kind == "clip" and rng.random() < 0.3:
        low[:], high[:] = -np.inf, np.inf
    shape = (count, 1) if rng.random() < 0.2 else (count,)
    return Action(kind, shape, low, high)  # type: ignore[arg-type]
