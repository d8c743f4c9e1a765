"""Turns an actor's modules into quantised ones and calibrates them; ``plan`` says which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

import torch
from torch import nn

from rlcompress.quantization.graph import trace
from rlcompress.quantization.layers import QUANTISED, LayerQuantization, OutputQuantization
from rlcompress.quantization.plan import plan_quantization
from rlcompress.quantization.quantizer import ActivationQuantizer
from rlcompress.quantization.state import is_prepared, quantizers_of
from rlcompress.spec import QuantSpec


class Quantisable(Protocol):
    """What preparation needs of an actor: its modules, how it runs, and its target twin."""

    @property
    def root(self) -> nn.Module:
        """Holds the actor's modules."""

    @property
    def twin(self) -> nn.Module | None:
        """The target network, with modules of the same names."""

    def forward(self, prepared: torch.Tensor) -> torch.Tensor:
        """Raw output for a batch of what the first module reads."""


def check_quantisable(
    actor: Quantisable, spec: QuantSpec, example: torch.Tensor, *, image_scale: float | None = None
) -> None:
    """Raise ValueError where ``prepare_`` would; change nothing."""
    plan_quantization(trace(actor.forward, actor.root, example), spec, image_scale)


def prepare_(
    actor: Quantisable, spec: QuantSpec, example: torch.Tensor, *, image_scale: float | None = None
) -> None:
    """Turn the modules that ``actor`` runs, and its twin's, into fake-quantised ones.

    Parameters, their order, optimizers and ``state_dict`` stay as they are. Activations have no
    range until ``calibrate_`` has run. The twin shares the ranges: at equal weights it computes
    what the online network computes.

    Args:
        actor: the network; its root's other modules (a critic) stay in float.
        spec: bits, granularity, layers to skip.
        example: a batch of prepared observations, of any values.
        image_scale: real size of one step of pixel values (1/255 where they were divided by 255);
            None for observations that are not images.

    Raises:
        ValueError: where the actor is quantised already, a name in ``spec.skip`` is unknown, or a
            module has no integer counterpart.
    """
    if is_prepared(actor.root):
        raise ValueError("the actor is quantised already; load it afresh to quantise it anew")
    plan = plan_quantization(trace(actor.forward, actor.root, example), spec, image_scale)
    for name, how in plan.items():
        _become_quantised_(actor.root.get_submodule(name), how)
        if actor.twin is not None:
            _become_quantised_(actor.twin.get_submodule(name), _reading(how))


def calibrate_(actor: Quantisable, observations: torch.Tensor) -> None:
    """Set the range of every activation from one batch of prepared ``observations``.

    One forward pass: each range is fitted to what the layers before, already rounded, produce.
    """
    quantizers = quantizers_of(actor.root).values()
    _set_calibrating_(quantizers, True)
    try:
        with torch.no_grad():
            actor.forward(observations)
    finally:
        _set_calibrating_(quantizers, False)


def _become_quantised_(module: nn.Module, how: LayerQuantization | OutputQuantization) -> None:
    kind = next(base for base in QUANTISED if isinstance(module, base))
    module.__class__ = QUANTISED[kind]
    module.quantization = how  # type: ignore[assignment]


def _reading(
    how: LayerQuantization | OutputQuantization,
) -> LayerQuantization | OutputQuantization:
    """The same for a twin, which never moves a range."""
    if isinstance(how, OutputQuantization):
        return replace(how, observes=False)
    return replace(how, output=how.output and replace(how.output, observes=False))


def _set_calibrating_(quantizers: Iterable[ActivationQuantizer], value: bool) -> None:
    for quantizer in quantizers:
        quantizer.calibrating = value
