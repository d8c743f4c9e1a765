"""Finds out which modules a network runs, on what and in which order; changes nothing.

The network is run once and its leaf modules are watched. A value is known by the tensor object
that carries it, so whatever happens between two modules without being a module is noticed and
refused rather than silently left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from rlcompress.quantization.layers import QUANTISED, ResidualAdd

LINEAR = (nn.Linear, nn.Conv2d)
ACTIVATION = (nn.ReLU, nn.Tanh, nn.Hardtanh)
_SUPPORTED = (*LINEAR, *ACTIVATION, nn.MaxPool2d, nn.Flatten, nn.Identity, nn.Dropout, ResidualAdd)


@dataclass(frozen=True)
class Node:
    """One use of a module. Value 0 is the network's input; ``shape`` is the output's, unbatched.

    ``name`` is as in ``root.named_modules()``. Modules that do nothing in deterministic inference
    (identity, dropout, flattening what is flat) have no node.
    """

    name: str
    module: nn.Module
    inputs: tuple[int, ...]
    output: int
    shape: tuple[int, ...]


def trace(
    forward: Callable[[torch.Tensor], torch.Tensor], root: nn.Module, example: torch.Tensor
) -> tuple[Node, ...]:
    """Run ``forward`` on the batch ``example``; return the modules of ``root`` it used, in order.

    Node k writes value k + 1; the last value is what ``forward`` returned.

    Raises:
        ValueError: where a module is not supported or something between two is not a module.
    """
    recorder = _Recorder(example)
    handles = [
        handle
        for name, module in root.named_modules()
        # An empty Sequential hands its input on: a value keeps its identity through it.
        if next(module.children(), None) is None and not isinstance(module, nn.Sequential)
        for handle in recorder.hook(name, module)
    ]
    try:
        with torch.no_grad():
            result = forward(example)
    finally:
        for handle in handles:
            handle.remove()
    last = recorder.value_of(result, "the network's output")
    if last != len(recorder.nodes):
        raise ValueError(
            f"{recorder.nodes[-1].name!r} ran after what the network returns was computed; run "
            "nothing but what the output needs"
        )
    return tuple(recorder.nodes)


def readers(nodes: tuple[Node, ...]) -> dict[int, list[Node]]:
    """Which nodes read each value."""
    found: dict[int, list[Node]] = {value: [] for value in range(len(nodes) + 1)}
    for node in nodes:
        for value in node.inputs:
            found[value].append(node)
    return found


def fused_activation(node: Node, reading: dict[int, list[Node]]) -> Node | None:
    """The activation that becomes part of a layer: the sole reader of the layer's result."""
    if not isinstance(node.module, LINEAR) or len(reading[node.output]) != 1:
        return None
    reader = reading[node.output][0]
    return reader if isinstance(reader.module, ACTIVATION) else None


class _Recorder:
    def __init__(self, example: torch.Tensor) -> None:
        self.nodes: list[Node] = []
        self._values = {id(example): (0, example._version)}
        # Keeps every tensor alive, so that no identity is used twice.
        self._alive: list[Any] = [example]

    def hook(self, name: str, module: nn.Module) -> tuple[RemovableHandle, RemovableHandle]:
        """Watch a module; what it reads is looked up first, because it may write in place."""
        sources: tuple[int, ...] = ()

        def look(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            nonlocal sources
            check_module(name, module)
            sources = tuple(self.value_of(x, f"the input of {name!r}") for x in inputs)

        def record(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            self._alive.append(output)
            if _does_nothing(module, inputs[0]):
                self._values[id(output)] = sources[0], output._version
                return
            _check_shapes(name, module, inputs)
            self.nodes.append(
                Node(name, module, sources, len(self.nodes) + 1, tuple(output.shape[1:]))
            )
            # An in-place module returns its input: from here on the tensor is the new value.
            self._values[id(output)] = len(self.nodes), output._version

        return module.register_forward_pre_hook(look), module.register_forward_hook(record)

    def value_of(self, tensor: Any, what: str) -> int:
        value, version = self._values.get(id(tensor), (None, None))
        # Functions and methods may also write into a tensor that is known.
        if value is None or tensor._version != version:
            before = repr(self.nodes[-1].name) if self.nodes else "the network's input"
            raise ValueError(
                f"between {before} and {what} something is computed that is not a module; use "
                "modules for every step (nn.Flatten, nn.ReLU, "
                "rlcompress.quantization.layers.ResidualAdd) and no functions or methods of tensors"
            )
        return value


def check_module(name: str, module: nn.Module) -> None:
    """Raise ValueError where ``module`` or one of its settings has no integer counterpart."""
    base = next((kind for kind in _SUPPORTED if isinstance(module, kind)), None)
    known = {kind.forward for kind in (base, QUANTISED.get(base)) if kind} if base else set()
    if base is None or type(module).forward not in known:
        kinds = ", ".join(kind.__name__ for kind in _SUPPORTED)
        raise ValueError(
            f"unsupported module {type(module).__name__} at {name!r}; these work: {kinds}"
        )
    problem = _problem(module)
    if problem:
        raise ValueError(f"unsupported {type(module).__name__} at {name!r}: {problem}")


def _problem(module: nn.Module) -> str | None:
    if isinstance(module, nn.Conv2d):
        return _conv_problem(module)
    if isinstance(module, nn.MaxPool2d):
        dilated = module.dilation not in (1, (1, 1))
        if dilated or module.ceil_mode or module.return_indices:
            return "dilation, ceil_mode and return_indices are not available"
    if isinstance(module, nn.Hardtanh) and module.min_val != -module.max_val:
        return f"it must be symmetric, got {module.min_val} .. {module.max_val}"
    if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) != (1, -1):
        return f"it must be from axis 1 to -1, got {module.start_dim} to {module.end_dim}"
    return None


def _conv_problem(conv: nn.Conv2d) -> str | None:
    if conv.groups != 1 or conv.dilation != (1, 1):
        return f"groups and dilation must be 1, got {conv.groups} and {conv.dilation}"
    if conv.padding_mode != "zeros" or conv.padding == "same":
        return "padding must be zeros and given in numbers"
    return None


def _check_shapes(name: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
    shapes = [tuple(x.shape) for x in inputs]
    if isinstance(module, nn.Linear) and len(shapes[0]) != 2:
        raise ValueError(
            f"the input of {name!r} must be (batch, features), got shape {shapes[0]}; "
            "put nn.Flatten() before it"
        )
    if isinstance(module, ResidualAdd) and shapes[0] != shapes[1]:
        raise ValueError(f"the inputs of {name!r} must have one shape, got {shapes}")


def _does_nothing(module: nn.Module, x: torch.Tensor) -> bool:
    if isinstance(module, nn.Flatten):
        # An observation of any axes but an image's is flat to begin with.
        return x.ndim != 4
    return isinstance(module, (nn.Identity, nn.Dropout))
