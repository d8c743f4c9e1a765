"""The policy that is measured, in the forms that backends need; runs no backend."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from rlcompress.artifact import (
    AnyArray,
    BinaryDense,
    CompressedPolicy,
    Encode,
    Golden,
    Linear,
    Op,
)
from rlcompress.export.dequantise import dequantised
from rlcompress.runtime.reference import with_golden

Form = Literal["policy", "whole", "floating", "filled"]


@dataclass(frozen=True)
class Subject:
    """One policy in four forms, with golden data over the same observations.

    ``policy`` is the artifact, ``whole`` the same with the units that pruning left dead, where
    those are known; ``floating`` is ``whole`` in float32, ``filled`` ``whole`` with a small number
    for every zero weight: another network, but what a dense one costs.
    ``model_path`` is the SB3 zip that the policy came from, for backends that need one. ``stream``
    are consecutive observations to time on, in order (None: the golden ones, in turn). Networks of
    single bits have one form only, which stands for all four.
    """

    policy: CompressedPolicy
    whole: CompressedPolicy
    floating: CompressedPolicy
    filled: CompressedPolicy
    model_path: Path | None = None
    stream: AnyArray | None = None

    @property
    def observations(self) -> AnyArray:
        """The golden observations."""
        return golden_of(self.policy).observations

    @property
    def binary(self) -> bool:
        """Whether this is a network of single bits."""
        return any(isinstance(op, Encode | BinaryDense) for op in self.policy.ops)

    @property
    def timed_on(self) -> AnyArray:
        """Observations that are gone through while the clock runs."""
        return self.observations if self.stream is None else self.stream

    def golden(self, form: Form) -> Golden:
        """What a backend that runs this form should give."""
        policy: CompressedPolicy = getattr(self, form)
        return golden_of(policy)


def make_subject(
    policy: CompressedPolicy,
    *,
    whole: CompressedPolicy | None = None,
    model_path: Path | None = None,
    stream: AnyArray | None = None,
) -> Subject:
    """The subject of an artifact with golden data.

    ``whole`` is what somebody has who has only pruned (None: peers run what the artifact kept).
    """
    whole = policy if whole is None else whole
    observations = golden_of(policy).observations
    bare = Subject(policy, policy, policy, policy, model_path, stream)
    if bare.binary:
        return bare
    return Subject(
        policy,
        whole,
        with_golden(dequantised(whole), observations),
        with_golden(filled(whole), observations),
        model_path,
        stream,
    )


def filled(policy: CompressedPolicy) -> CompressedPolicy:
    """``policy`` with every zero weight replaced by a small one, signs alternating."""
    ops: list[Op] = []
    for op in policy.ops:
        if isinstance(op, Linear):
            sign = np.where(np.arange(op.weight.size) % 2, 1, -1).reshape(op.weight.shape)
            small = 1 if op.weight.dtype == np.int8 else np.float32(1e-6)
            weight = np.where(op.weight == 0, sign * small, op.weight).astype(op.weight.dtype)
            ops.append(replace(op, weight=weight))
        else:
            ops.append(op)
    return replace(policy, ops=tuple(ops), golden=None)


def golden_of(policy: CompressedPolicy) -> Golden:
    """Golden data of a policy; ValueError where it has none."""
    if policy.golden is None:
        raise ValueError("the policy has no golden data to check backends with; see with_golden()")
    return policy.golden
