"""CompressedPolicy: the one artifact, with its file, its checks and its honest size.

Owns what a person asks of a policy; bytes are ``file.py``'s business and rules ``validate.py``'s.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlcompress.artifact import file
from rlcompress.artifact.codec import entropy_bytes
from rlcompress.artifact.records import BinaryDense, Linear, PolicyData
from rlcompress.artifact.validate import check_policy
from rlcompress.artifact.writer import LayerBytes, write_program


@dataclass(frozen=True)
class LayerSize:
    """What one layer takes in the file, and what no encoding of its weights could beat."""

    name: str
    shape: tuple[int, ...]
    weights: int
    kept: int
    bits: int
    encoding: str
    weight_bytes: int
    bias_bytes: int
    entropy_bytes: float

    @property
    def sparsity(self) -> float:
        """Fraction of zeros."""
        return 1.0 - self.kept / self.weights


@dataclass(frozen=True)
class SizeReport:
    """Bytes of the file: what runs (``policy_bytes``), golden data and meta apart.

    ``policy_bytes`` is the file's size without golden data and meta, framing and checksum included.
    """

    policy_bytes: int
    golden_bytes: int
    meta_bytes: int
    layers: tuple[LayerSize, ...]

    @property
    def total_bytes(self) -> int:
        """Size of the file."""
        return self.policy_bytes + self.golden_bytes + self.meta_bytes

    @property
    def weights(self) -> int:
        """Weights of all layers, zeros included."""
        return sum(layer.weights for layer in self.layers)

    @property
    def kept(self) -> int:
        """Weights that are not zero."""
        return sum(layer.kept for layer in self.layers)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all encoded weights, masks included."""
        return sum(layer.weight_bytes for layer in self.layers)

    @property
    def entropy_bytes(self) -> float:
        """Entropy of all masks and values."""
        return sum(layer.entropy_bytes for layer in self.layers)


@dataclass(frozen=True)
class CompressedPolicy(PolicyData):
    """A trained actor as numbers: what runs, exports and measures starts from it."""

    def validate(self) -> None:
        """Raise a one-line ValueError unless every consumer can run this policy."""
        check_policy(self)

    def to_bytes(self) -> bytes:
        """The bytes of the file: the same for the same policy."""
        self.validate()
        return file.frame(write_program(self)[0], self.golden, self.meta)

    @classmethod
    def from_bytes(cls, data: bytes) -> CompressedPolicy:
        """The validated policy of a file's bytes; a one-line ValueError for any other bytes."""
        found = file.unframe(data)
        policy = cls(found.ops, found.observation, found.action, found.golden, found.meta)
        policy.validate()
        return policy

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file at ``path``, whole or not at all, after reading it back from memory."""
        data = self.to_bytes()
        self.from_bytes(data)
        file.write_bytes(Path(path), data)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CompressedPolicy:
        """The validated policy in the file at ``path``, which may come from anyone.

        Raises a one-line ValueError where the file is damaged, foreign or forged, and OSError where
        it cannot be read.
        """
        try:
            return cls.from_bytes(file.read_bytes(Path(path)))
        except ValueError as error:
            raise ValueError(f"cannot load {os.fspath(path)}: {error}") from None

    @property
    def size(self) -> SizeReport:
        """What the file takes, layer by layer; found by encoding it."""
        program, stored = write_program(self)
        policy_bytes = len(file.frame(program, None, {}))
        with_meta = len(file.frame(program, None, self.meta))
        total = len(file.frame(program, self.golden, self.meta))
        layers = tuple(_layer(op, part) for op, part in zip(self.weighted, stored, strict=True))
        return SizeReport(policy_bytes, total - with_meta, with_meta - policy_bytes, layers)

    def summary(self) -> dict[str, Any]:
        """Everything worth printing about the size, JSON-able; units are in the names.

        ``paper_factor`` is the papers' figure, dense float32 weights over the bytes of the kept
        values alone: 4 / (1 - sparsity) for int8. ``honest_factor`` is dense float32 weights and
        biases over ``policy_bytes``. Where ``meta["dense"]`` says how many ``weights``, ``kept``
        weights and ``biases`` the network had before dead units were removed, both refer to that.
        """
        size = self.size
        dense = self._dense(size)
        stored = zip(self.weighted, size.layers, strict=True)
        dense_bytes = 4 * (dense["weights"] + dense["biases"])
        value_bytes: float = sum(part.kept * _value_bytes(op) for op, part in stored)
        if size.kept:
            value_bytes = value_bytes * dense["kept"] / size.kept
        return {
            "layers": [_row(layer) for layer in size.layers],
            "weights": dense["weights"],
            "kept": dense["kept"],
            "sparsity": 1.0 - dense["kept"] / dense["weights"] if dense["weights"] else 0.0,
            "stored_weights": size.weights,
            "stored_kept": size.kept,
            "dense_bytes": dense_bytes,
            "weight_bytes": size.weight_bytes,
            "entropy_bytes": round(size.entropy_bytes),
            "policy_bytes": size.policy_bytes,
            "golden_bytes": size.golden_bytes,
            "meta_bytes": size.meta_bytes,
            "total_bytes": size.total_bytes,
            "paper_factor": 4 * dense["weights"] / value_bytes if value_bytes else None,
            "honest_factor": dense_bytes / size.policy_bytes,
        }

    def _dense(self, size: SizeReport) -> dict[str, int]:
        """Counts before dead units were removed, where meta has credible ones."""
        biases = sum(op.bias.size for op in self.weighted)
        own = {"weights": size.weights, "kept": size.kept, "biases": biases}
        said = self.meta.get("dense")
        if not isinstance(said, Mapping):
            return own
        counts = {name: said[name] for name in own if type(said.get(name)) is int}
        credible = len(counts) == len(own) and all(counts[name] >= own[name] for name in own)
        return counts if credible and counts["kept"] <= counts["weights"] else own


def _value_bytes(op: Linear | BinaryDense) -> float:
    """Bytes of one weight's value alone."""
    return 1 / 8 if isinstance(op, BinaryDense) else op.weight.itemsize


def _layer(op: Linear | BinaryDense, stored: LayerBytes) -> LayerSize:
    bits = int(8 * _value_bytes(op))
    if op.weight.dtype == np.int8:
        bits = max(2, int(np.abs(op.weight).max()).bit_length() + 1)
    return LayerSize(
        name=op.name,
        shape=tuple(op.weight.shape),
        weights=op.weight.size,
        kept=op.weight.size if isinstance(op, BinaryDense) else int(np.count_nonzero(op.weight)),
        bits=bits,
        encoding=stored.encoding,
        weight_bytes=stored.weight_bytes,
        bias_bytes=stored.bias_bytes,
        entropy_bytes=entropy_bytes(op.weight),
    )


def _row(layer: LayerSize) -> dict[str, Any]:
    row = asdict(layer) | {"shape": list(layer.shape), "sparsity": layer.sparsity}
    return row | {"entropy_bytes": round(layer.entropy_bytes)}
