"""Whatever is done to a stack and in whatever order, reuse gives the bits of full computation."""

import copy

import numpy as np
import torch
from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from torch import nn

from rlcompress.reuse import FrameOptions, ReuseStack
from rlcompress.reuse.native import isas
from tests.reuse.stacks import random_stack

SLOTS = 3
ODD = (np.nan, np.inf, -np.inf, -0.0, 0.0, 1e38, 1.0)
SEEDS = st.integers(0, 2**32 - 1)


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal as torch says, with all that is no number equal as well."""
    return bool((a.isnan() == b.isnan()).all()) and torch.equal(a.nan_to_num(0), b.nan_to_num(0))


class AnyHistory(RuleBasedStateMachine):
    """One stack that reuses and one that does not, under the same operations."""

    @initialize(
        seed=SEEDS,
        isa=st.sampled_from(isas()),
        floats=st.booleans(),
        flat=st.booleans(),
        past=st.sampled_from(((1, "zero"), (1, "zero"), (3, "zero"), (3, "repeat"))),
    )
    def start(self, seed, isa, floats, flat, past):
        lags, fill = past
        self.rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        channels, rows, columns = (int(self.rng.integers(1, high)) for high in (4, 10, 12))
        self.shape = (channels, columns) if flat else (channels, rows, columns)
        whole = (channels, 1 if flat else rows, columns)
        self.net = random_stack(self.rng, whole, flat=flat, lags=lags)
        assume(lags == 1 or isinstance(self.net[0], (nn.Conv1d, nn.Conv2d)))
        self.pixels = (1, columns) if flat else (rows, columns)
        self.dtype = np.float32 if floats else np.uint8
        options = FrameOptions(
            lags=lags, fill=fill, divisor=float(self.rng.choice([1, 255])),
            dtype=torch.float32 if floats else torch.uint8)  # fmt: skip
        self.pair = [
            ReuseStack(self.net, self.shape, slots=SLOTS, isa=isa, frames=options, reuse=reuse)
            for reuse in (True, False)
        ]
        self.last: list[np.ndarray | None] = [None] * SLOTS
        self.known: set[int] = set()
        self.saved = None

    def new_frame(self, slot, kind):
        last = self.last[slot]
        if last is None or kind == 0:
            return (self.rng.standard_normal(self.shape) * 40 + 90).clip(0, 255).astype(self.dtype)
        frame = last.copy()
        flat = frame.reshape(-1)
        where = self.rng.integers(0, flat.size, self.rng.integers(1, 4))
        if kind == 1:
            flat[where] = self.rng.integers(0, 256, len(where))
        elif kind == 2 and self.dtype is np.float32:
            flat[where] = self.rng.choice(ODD, len(where))
        elif kind == 3 and self.dtype is np.float32:
            frame = np.where(np.isfinite(frame), frame, np.float32(2)).astype(np.float32)
        return frame

    @rule(slots=st.permutations(range(SLOTS)), count=st.integers(1, SLOTS), kind=st.integers(0, 4))
    def frames_come(self, slots, count, kind):
        slots = slots[:count]
        frames = [self.new_frame(slot, kind) for slot in slots]
        self.assert_same(frames, slots)

    @rule(slot=st.integers(0, SLOTS - 1), kind=st.integers(1, 2), seed=SEEDS)
    def the_caller_says_what_changed(self, slot, kind, seed):
        """Truthfully or not: pixels that are not named count as they were."""
        frame, last = self.new_frame(slot, kind), self.last[slot]
        mask = np.random.default_rng(seed).random(self.pixels) < 0.5
        named = mask[0] if len(self.shape) == 2 else mask
        kept = np.where(named, frame, last) if slot in self.known else frame
        given, seen = (torch.from_numpy(one[None]) for one in (frame, kept))
        reusing, full = self.pair
        assert same_bits(reusing(given, slots=[slot], changed=mask[None]), full(seen, slots=[slot]))
        self.last[slot] = kept
        self.known.add(slot)

    @precondition(lambda self: any(True for _ in self.net.parameters()))
    @rule(way=st.sampled_from(("step", "state", "double", "data", "bias", "layer")))
    def parameters_change(self, way):
        with torch.no_grad():
            getattr(self, f"change_{way}")(next(m for m in self.net if hasattr(m, "weight")))
        self.known = set()
        self.assert_same([self.new_frame(0, 0)], [0])

    def change_step(self, module):
        module.weight += torch.randn_like(module.weight)

    def change_state(self, module):
        self.net.load_state_dict({name: x * 0.5 for name, x in self.net.state_dict().items()})

    def change_double(self, module):
        self.net.double()
        self.assert_same([self.new_frame(0, 0)], [0])
        self.net.float()

    def change_data(self, module):
        module.weight.data = torch.randn_like(module.weight)

    def change_bias(self, module):
        there = module.bias is not None
        module.bias = None if there else nn.Parameter(torch.randn(len(module.weight)))

    def change_layer(self, module):
        at = list(self.net).index(module)
        self.net[at] = copy.deepcopy(module)
        self.net[at].weight.mul_(-1)

    @rule(slot=st.integers(0, SLOTS - 1))
    def a_slot_is_reset(self, slot):
        for stack in self.pair:
            stack.reset([slot])
        self.known.discard(slot)

    @rule(slot=st.integers(0, SLOTS - 1))
    def a_slot_is_saved(self, slot):
        snapshots = [stack.save(slot) for stack in self.pair]
        self.saved = snapshots, self.last[slot], slot in self.known

    @precondition(lambda self: self.saved is not None)
    @rule(slot=st.integers(0, SLOTS - 1))
    def a_slot_is_restored(self, slot):
        done = []
        for stack, snapshot in zip(self.pair, self.saved[0], strict=True):
            try:
                stack.restore(slot, snapshot)
                done.append(True)
            except ValueError:  # older parameters
                done.append(False)
        assert done[0] == done[1]
        if done[0]:
            self.last[slot] = self.saved[1]
            self.known.discard(slot)
            self.known |= {slot} if self.saved[2] else set()

    @invariant()
    def work_is_counted(self):
        if hasattr(self, "pair"):
            for work in self.pair[0].work:
                assert 0 <= work.dirty <= work.positions

    def assert_same(self, frames, slots):
        batch = torch.from_numpy(np.stack(frames))
        reusing, full = self.pair
        assert same_bits(reusing(batch, slots=slots), full(batch, slots=slots))
        self.known |= set(slots)
        for slot, frame in zip(slots, frames, strict=True):
            self.last[slot] = frame


AnyHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestAnyHistory = AnyHistory.TestCase
