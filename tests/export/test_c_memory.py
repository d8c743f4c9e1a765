from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from rlcompress.artifact import Activation, Add, AnyArray, CompressedPolicy, Conv, Flatten
from rlcompress.export.c_memory import MemoryPlan, as_given, plan_memory
from tests.export.c_policies import hopper
from tests.policies import policies, random_policy


def bytes_of(policy: CompressedPolicy, value: int) -> int:
    held = policy.values[value]
    return held.size * (4 if held.kind == "float" else 1)


class Memory:
    """A scratch buffer in which every byte says of which value it is (-1: of none)."""

    def __init__(self, policy: CompressedPolicy, plan: MemoryPlan) -> None:
        self.policy, self.plan = policy, plan
        self.owners = np.full(plan.scratch_bytes, -1)

    def write(self, value: int) -> None:
        self._of(value)[:] = value

    def read(self, *values: int) -> None:
        for value in values:
            assert (self._of(value) == value).all()

    def spoil(self, place: int, size: int) -> None:
        assert place % 4 == 0 and place + size <= len(self.owners)
        self.owners[place : place + size] = -1

    def _of(self, value: int) -> AnyArray:
        place, size = self.plan.values[value], bytes_of(self.policy, value)
        if place is None:
            return np.full(size, value)
        assert place % 4 == 0 and place + size <= len(self.owners)
        return self.owners[place : place + size]


def check(policy: CompressedPolicy, plan: MemoryPlan) -> None:
    """Run the policy's reads and writes; nothing may be lost before it is read."""
    memory = Memory(policy, plan)
    memory.write(0)
    for index, op in enumerate(policy.ops):
        memory.read(*op.inputs)
        if isinstance(op, Conv):
            memory.spoil(plan.sums[index], 4 * op.output.shape[0] * op.output.shape[1])
            memory.read(*op.inputs)
        if isinstance(op, Flatten):
            assert plan.values[index + 1] == plan.values[op.inputs[0]]
            assert not any(op.inputs[0] in later.inputs for later in policy.ops[index + 1 :])
        memory.write(index + 1)
        if not isinstance(op, Add | Activation | Flatten):  # Layers read while they write.
            memory.read(*op.inputs)
    memory.read(len(policy.ops))


@settings(max_examples=100, deadline=None)
@given(policies())
def test_no_value_is_overwritten_before_it_is_read(policy):
    check(policy, plan_memory(policy))


def test_value_0_takes_no_memory_where_it_is_the_observation():
    for seed in range(40):
        policy = random_policy(np.random.default_rng(seed))
        assert (plan_memory(policy).values[0] is None) == as_given(policy.observation)


def test_memory_is_used_again():
    policy = hopper(0.98)
    hidden = [bytes_of(policy, value) for value in (1, 2)]
    plan = plan_memory(policy)
    assert plan.scratch_bytes == sum(-(-size // 4) * 4 for size in hidden)
    assert plan.values[3] == plan.values[1]
