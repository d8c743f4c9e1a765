"""A binary policy, encoder, network and decoder together, and its way into the one artifact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rlcompress.artifact import Action, BinaryDense, CompressedPolicy, Encode, Observation, Op
from rlcompress.artifact import TensorType as Type
from rlcompress.binary.decoders import Decoder
from rlcompress.binary.encoders import Encoder
from rlcompress.binary.network import BinaryLayer, BinaryNetwork
from rlcompress.runtime.reference import with_golden

GOLDEN = 32
"""Observations that an artifact checks itself with."""


@dataclass(frozen=True)
class BinaryPolicy:
    """From observations of ``observation_shape`` to actions."""

    observation_shape: tuple[int, ...]
    encoder: Encoder
    network: BinaryNetwork
    decoder: Decoder

    def __post_init__(self) -> None:
        inputs = int(np.prod(self.observation_shape))
        widths = self.network.widths
        expected = (inputs, self.encoder.bits, self.decoder.outputs)
        if expected != (self.encoder.inputs, widths[0], widths[-1]):
            raise ValueError(
                f"{inputs} numbers, {self.encoder.bits} bits and {self.decoder.outputs} outputs do "
                f"not fit an encoder of {self.encoder.inputs} and a network of {widths}"
            )

    def act(self, observations: npt.ArrayLike) -> npt.NDArray[Any]:
        """Actions of a batch of observations, by the plain definition."""
        return self.decoder.decode(self.network.forward(self.encoder.encode(observations)))

    @property
    def size_bytes(self) -> dict[str, int]:
        """Bytes of the network, without and with thresholds, and of the encoder's edges."""
        return self.network.size_bytes | {"edges": self.encoder.edges.nbytes}

    def freeze(
        self, observations: npt.ArrayLike, meta: Mapping[str, Any] | None = None
    ) -> CompressedPolicy:
        """The artifact; the first of ``observations`` become its golden data."""
        policy = CompressedPolicy(
            _ops(self.encoder, self.network),
            Observation(self.observation_shape),
            _action(self.decoder),
            meta=dict(meta or {}),
        )
        policy.validate()
        return with_golden(policy, np.asarray(observations, np.float32)[:GOLDEN])


def thaw(policy: CompressedPolicy) -> BinaryPolicy:
    """The binary policy in an artifact; ValueError where it holds another kind of policy."""
    first, rest = policy.ops[0], policy.ops[1:]
    chain = all(tuple(op.inputs) == (place,) for place, op in enumerate(policy.ops))
    if not isinstance(first, Encode) or not chain or policy.observation.mean is not None:
        raise ValueError("this artifact is not an encoder with binary layers after it")
    layers = [BinaryLayer(op.weight, op.bias) for op in rest if isinstance(op, BinaryDense)]
    if len(layers) != len(rest) or policy.action.kind not in ("argmax", "count"):
        raise ValueError("this artifact has layers that are not binary")
    action, network = policy.action, BinaryNetwork(tuple(layers))
    decoder = Decoder(
        action.kind, network.widths[-1], action.start, action.shape, action.low, action.high
    )
    encoder = Encoder(first.edges, first.code)
    return BinaryPolicy(tuple(policy.observation.shape), encoder, network, decoder)


def _ops(encoder: Encoder, network: BinaryNetwork) -> tuple[Op, ...]:
    bits = Type((encoder.bits,), "binary", 1)
    ops: list[Op] = [Encode("encoder", (0,), bits, encoder.edges, encoder.code)]
    for place, layer in enumerate(network.layers, 1):
        shape = (layer.weight.shape[0],)
        last = place == len(network.layers)
        output = Type(shape) if last else Type(shape, "binary", 1)
        ops.append(BinaryDense(f"layer.{place - 1}", (place,), output, layer.weight, layer.bias))
    return tuple(ops)


def _action(decoder: Decoder) -> Action:
    kind: Any = decoder.kind
    low, high = decoder.low, decoder.high
    return Action(kind, decoder.shape, low, high, start=decoder.start)
