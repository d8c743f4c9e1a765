"""Runs updates: collects their tensors, traces and compiles them, calls them; computes nothing.

The first call of each variant traces the step with its gradients into one graph, which
``torch.compile`` takes whole; its results are cached on disk by torch, between processes. Nothing
asks the device for a number but the logged losses, at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from torch.fx.experimental.proxy_tensor import make_fx

from rlcompress.fast.capture import Captured
from rlcompress.fast.denormals import smallest_as_zero
from rlcompress.fast.networks import grid_rows
from rlcompress.fast.products import rewrites
from rlcompress.fast.update import Batch, Inputs, Result, Update

Step = Callable[..., list[torch.Tensor]]
_KEPT = ("weights", "first", "second")


@dataclass(frozen=True)
class FastOptions:
    """How updates are run.

    ``compiled`` False runs the same functions operation by operation: compiling takes seconds to
    a minute, which a short run does not earn back. ``keep_gradients`` leaves the actor's gradients
    in ``grad``, where pruning criteria may look for them. ``cuda_graphs`` replays the update as
    one CUDA graph; it means nothing on a CPU. ``bfloat16`` rounds the factors of wide products of
    a compiled update on a CPU.
    """

    compiled: bool = True
    keep_gradients: bool = True
    cuda_graphs: bool = True
    bfloat16: bool = False
    announce: Callable[[str], None] | None = None


class Engine:
    """One update of one model, ready to run."""

    def __init__(self, update: Update, options: FastOptions) -> None:
        self.update = update
        self.options = options
        self.compile_s = 0.0
        self._steps: dict[tuple[object, ...], Step] = {}
        self._lasting: list[torch.Tensor] = []
        self._grids: tuple[list[object], torch.Tensor] = ([], grid_rows([]))

    def run(self, samples: ReplayBufferSamples) -> dict[str, torch.Tensor]:
        """Do one update on a batch; returns the losses by SB3's names."""
        update = self.update
        variant = update.variant()
        self._collect()
        batch = Batch.of(samples, update.model.gamma, update.noise(samples))
        fresh = [self._current_grids(), self._numbers(variant), *_tensors(batch)]
        flat = [*self._lasting, *fresh]
        step = self._step(variant, batch, flat)
        with torch.no_grad():
            losses, *gradients = step(*flat)
        if gradients:
            parameters = update.acting_block().parameters
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
        return dict(zip(update.logged(variant), losses.unbind(), strict=True))

    def _collect(self) -> None:
        """Look whether any lasting tensor was replaced by somebody since."""
        update = self.update
        # Not any(...): every block has to look.
        moved = [block.adopt_() for block in update.blocks.values()]
        targets = [p for found in update.targets.values() for p in found]
        offset = len(self._lasting) - len(targets)
        if not any(moved) and all(
            tensor.data_ptr() == p.data_ptr()
            for tensor, p in zip(self._lasting[offset:], targets, strict=True)
        ):
            return
        self._lasting = [
            tensor
            for block in update.blocks.values()
            for tensor in (
                *block.weights,
                *block.first,
                *block.second,
                *block.factors.values(),
            )
        ] + [p.detach() for p in targets]

    def _current_grids(self) -> torch.Tensor:
        grids: list[object] = [quantizer.grid for quantizer in self.update.quantizers]
        known, rows = self._grids
        if len(known) != len(grids) or any(a is not b for a, b in zip(known, grids, strict=True)):
            rows = grid_rows(self.update.quantizers).to(self.update.model.device)
            self._grids = grids, rows
        return rows

    def _numbers(self, variant: str) -> torch.Tensor:
        stepped = self.update.rows(variant)
        rows = [self.update.blocks[name].advance_() for name in stepped]
        return torch.tensor(rows, dtype=torch.float32, device=self.update.model.device)

    def _step(self, variant: str, batch: Batch, flat: Sequence[torch.Tensor]) -> Step:
        layout = tuple((tensor.shape, tensor.dtype) for tensor in _tensors(batch))
        counts = tuple(tuple(block.factors) for block in self.update.blocks.values())
        key = (variant, layout, counts)
        if key not in self._steps:
            self._steps[key] = self._made(self._flat_step(variant, batch), flat)
        return self._steps[key]

    def _made(self, step: Step, flat: Sequence[torch.Tensor]) -> Step:
        if not self.options.compiled:
            return step
        announce = self.options.announce or _silent
        announce("compiling the update")
        began = time.perf_counter()
        try:
            compiled = self._compiled(step, flat)
        except Exception as error:
            # Without a C++ compiler, say. Nothing has stepped yet: compiling works on copies.
            reason = str(error).strip().splitlines()[:1]
            announce(f"the update cannot be compiled ({''.join(reason)}): it runs uncompiled")
            return step
        took = time.perf_counter() - began
        self.compile_s += took
        announce(f"the update is compiled ({took:.1f} s)")
        return compiled

    def _compiled(self, step: Step, flat: Sequence[torch.Tensor]) -> Step:
        on_cpu = flat[0].device.type == "cpu"
        known = rewrites(on_cpu=on_cpu, bfloat16=self.options.bfloat16)
        # Fake tensors: tracing must not take a step.
        graph = make_fx(step, known, tracing_mode="fake")(*flat)
        options = _compiler_options(on_cpu=on_cpu)
        compiled: Step = torch.compile(graph, fullgraph=True, dynamic=False, options=options)
        with torch.no_grad():
            compiled(*(tensor.clone() for tensor in flat))
        if not on_cpu and self.options.cuda_graphs:
            compiled = Captured(compiled, flat, lasting=len(self._lasting))
        return smallest_as_zero()(compiled) if on_cpu else compiled

    def _flat_step(self, variant: str, like: Batch) -> Step:
        update = self.update

        def step(*flat: torch.Tensor) -> list[torch.Tensor]:
            remaining = iter(flat)
            blocks = {
                name: {
                    **{part: _take(remaining, len(block.parameters)) for part in _KEPT},
                    "factors": {i: next(remaining) for i in block.factors},
                }
                for name, block in update.blocks.items()
            }
            targets = {name: _take(remaining, len(t)) for name, t in update.targets.items()}
            grids, numbers = next(remaining), next(remaining)
            inputs = Inputs(_batch(like, remaining), blocks, targets, grids, numbers)
            with torch.enable_grad():
                result: Result = update.step(inputs, variant)
            return [result.losses, *result.gradients]

        return step


def _compiler_options(*, on_cpu: bool) -> dict[str, Any]:
    options = {
        # Inductor's pattern matcher turned SAC's critic gradients wrong (torch 2.13, CPU); the
        # equality tests pass without it, and biases then join the activations' loops.
        "pattern_matcher": False,
        # Whoever replaces tensors keeps their shapes: ``_step`` knows all that a graph depends on.
        "guard_filter_fn": torch.compiler.skip_all_guards_unsafe,
    }
    if on_cpu:
        # Convolutions are faster with channels last; on CPUs torch decides so only in inference.
        options |= {"cpp.threads": torch.get_num_threads(), "force_layout_optimization": True}
    return options


def _take(remaining: Any, count: int) -> list[torch.Tensor]:
    return [next(remaining) for _ in range(count)]


def _tensors(batch: Batch) -> list[torch.Tensor]:
    """The batch's tensors in the order of its fields."""
    found: list[torch.Tensor] = []
    for entry in fields(batch):
        value = getattr(batch, entry.name)
        found += value if isinstance(value, list) else []
        found += [value] if isinstance(value, torch.Tensor) else []
    return found


def _batch(like: Batch, remaining: Any) -> Batch:
    """A batch of the same layout, of other tensors; what is no tensor stays."""
    values: dict[str, Any] = {}
    for entry in fields(like):
        value = getattr(like, entry.name)
        if isinstance(value, list):
            values[entry.name] = _take(remaining, len(value))
        else:
            values[entry.name] = next(remaining) if isinstance(value, torch.Tensor) else value
    return Batch(**values)


def _silent(line: str) -> None:
    """Announce nothing."""
