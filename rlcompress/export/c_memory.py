"""Where each value of a policy lies in the scratch buffer of the C runtime; computes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from rlcompress.artifact import (
    Activation,
    Add,
    CompressedPolicy,
    Conv,
    Flatten,
    Observation,
    TensorType,
)

OBSERVATION = None
"""Place of a value that stays where the caller's observation is."""


@dataclass
class _Buffer:
    """Bytes that are in use from op ``begin`` to op ``end``, both included."""

    size: int
    begin: int
    end: int
    place: int = field(default=-1)


@dataclass(frozen=True)
class MemoryPlan:
    """Byte offsets of values (None: the observation itself) and of convolutions' sums, by index."""

    values: tuple[int | None, ...]
    sums: dict[int, int]
    scratch_bytes: int


def as_given(observation: Observation) -> bool:
    """Whether value 0 is the observation, byte for byte."""
    return observation.mean is None and not observation.channels_first


def plan_memory(policy: CompressedPolicy) -> MemoryPlan:
    """Offsets such that no two values needed at one time overlap; element-wise ops work in place.

    Time 0 is the preparation of the observation, time k + 1 is op k.
    """
    types = policy.values
    last_read = _last_reads(policy)
    buffers: list[_Buffer] = []
    homes: list[_Buffer | None] = [None]
    if not as_given(policy.observation):
        buffers.append(_Buffer(_bytes(types[0]), 0, last_read[0]))
        homes = [buffers[0]]
    sums: dict[int, _Buffer] = {}
    for index, op in enumerate(policy.ops):
        now = index + 1
        home = _reused(op, homes, now)
        if isinstance(op, Flatten):
            home = homes[op.inputs[0]]
        elif home is None:
            home = _Buffer(_bytes(op.output), now, now)
            buffers.append(home)
        if home is not None:
            home.end = max(home.end, last_read[now])
        homes.append(home)
        if isinstance(op, Conv):
            height, width, _ = op.output.shape
            sums[index] = _Buffer(4 * height * width, now, now)
            buffers.append(sums[index])
    size = _place(buffers)
    places = tuple(OBSERVATION if home is None else home.place for home in homes)
    return MemoryPlan(places, {index: part.place for index, part in sums.items()}, size)


def _last_reads(policy: CompressedPolicy) -> list[int]:
    """For each value the last time at which it is needed."""
    last = list(range(len(policy.ops) + 1))
    for index, op in enumerate(policy.ops):
        for value in op.inputs:
            last[value] = index + 1
    last[-1] = len(policy.ops) + 1
    return last


def _reused(op: object, homes: list[_Buffer | None], now: int) -> _Buffer | None:
    """The buffer of an input that nobody reads after an element-wise op."""
    if isinstance(op, Add | Activation):
        for value in op.inputs:
            home = homes[value]
            if home is not None and home.end == now:
                return home
    return None


def _place(buffers: list[_Buffer]) -> int:
    """Give every buffer the lowest place that is free all its time, large ones first."""
    placed: list[_Buffer] = []
    for buffer in sorted(buffers, key=lambda b: -b.size):
        rivals = [b for b in placed if b.begin <= buffer.end and buffer.begin <= b.end]
        place = 0
        for rival in sorted(rivals, key=lambda b: b.place):
            if place + buffer.size <= rival.place:
                break
            place = max(place, rival.place + rival.size)
        buffer.place = place
        placed.append(buffer)
    return max((b.place + b.size for b in buffers), default=0)


def _bytes(value: TensorType) -> int:
    """Bytes of a value, rounded up so that whatever follows is aligned."""
    size = value.size * 4 if value.kind == "float" else value.size
    if value.kind == "binary":
        size = -(-size // 8)
    return -(-size // 4) * 4
