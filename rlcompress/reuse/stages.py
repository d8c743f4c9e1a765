"""Reads a stack of plain torch modules into the stages that are computed; it computes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import nn

from rlcompress.reuse.geometry import Window

Kind = Literal["conv", "max", "avg", "linear"]
Activation = Literal["none", "relu", "tanh"]
ACTIVATIONS: dict[type[nn.Module], Activation] = {nn.ReLU: "relu", nn.Tanh: "tanh"}
ONE = Window()
TAKES = "Conv1d, Conv2d, MaxPool, AvgPool, ReLU, Tanh, Flatten, Linear and Identity"
INSTEAD = {
    "BatchNorm": "fold it into the convolution (torch.nn.utils.fusion.fuse_conv_bn_eval)",
    "Dropout": "leave it out: it changes nothing when a network is only used",
    "Adaptive": "use AvgPool2d or MaxPool2d with the kernel that it comes to",
    "ConvTranspose": "keep it behind the stack, as torch",
    "LSTM": "keep it behind the stack, as torch",
    "GRU": "keep it behind the stack, as torch",
    "Softmax": "apply it to the stack's outputs",
    "Sigmoid": "use Tanh, or apply it to the stack's outputs",
    "Conv3d": "stack the frames as channels, or pass lags= for the first layer",
}


@dataclass(frozen=True)
class Stage:
    """One layer with the activation behind it; shapes are (channels, rows, columns).

    A linear stage reads ``in_shape`` position by position; its outputs are (outputs, 1, 1).
    """

    name: str
    kind: Kind
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    window: Window = ONE
    activation: Activation = "none"
    module: nn.Module | None = None

    @property
    def positions(self) -> int:
        """Output positions of a map; of a linear stage the blocks of input that it sums over."""
        if self.kind == "linear":
            return self.blocks[0]
        return self.out_shape[1] * self.out_shape[2]

    @property
    def blocks(self) -> tuple[int, int]:
        """How many blocks of how many features a linear stage sums one by one."""
        channels, height, width = self.in_shape
        if height * width > 1:
            return height * width, channels
        return -(-channels // 16), 16


@dataclass(frozen=True)
class Layout:
    """A stack that was read: its stages, and the shape of one output as torch gives it."""

    stages: tuple[Stage, ...]
    out_shape: tuple[int, ...]


def read_modules(modules: nn.Module, input_shape: tuple[int, ...], lags: int = 1) -> Layout:
    """The stages of ``modules`` on frames of ``input_shape``, (C, H, W) or (C, L).

    With ``lags`` the first convolution reads that many frames, the oldest in its first channels.
    """
    if len(input_shape) not in (2, 3) or any(size < 1 for size in input_shape):
        raise ValueError(f"input_shape must be (C, H, W) or (C, L), got {input_shape}")
    flat = len(input_shape) == 2
    shape = (input_shape[0], 1 if flat else input_shape[1], input_shape[-1])
    reader = _Reader(shape, flat, lags)
    for name, module in _leaves(modules):
        reader.add(name, module)
    if not reader.stages:
        raise ValueError("modules must hold at least one layer, got none")
    if lags > 1 and reader.stages[0].kind != "conv":
        raise ValueError("lags need a convolution as the first layer")
    return Layout(tuple(reader.stages), reader.out_shape())


def children_of(module: nn.Module) -> list[tuple[dict[str, nn.Module], tuple[nn.Module, ...]]]:
    """Where each Sequential keeps its children, and which they are now."""
    if not isinstance(module, nn.Sequential):
        return []
    found = [(module._modules, tuple(module._modules.values()))]
    for child in module.children():
        found += children_of(child)
    return found


def _leaves(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    if not isinstance(module, nn.Sequential):
        yield name or "0", module
        return
    for key, child in module.named_children():
        yield from _leaves(child, f"{name}.{key}" if name else key)


def _pair(value: Any, flat: bool) -> tuple[int, int]:
    """A torch size along rows and columns; one-dimensional ones run along the columns."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if flat:
        return 0, int(values[0])
    return int(values[0]), int(values[-1])


class _Reader:
    """Walks along the modules with the shape that they have produced so far."""

    def __init__(self, shape: tuple[int, int, int], flat: bool, lags: int) -> None:
        self.stages: list[Stage] = []
        self.shape = shape
        self.flat = flat  # one-dimensional modules
        self.lags = lags
        self.flattened = False

    def add(self, name: str, module: nn.Module) -> None:
        kind = type(module)
        label = f"{name} {kind.__name__}"
        if kind is nn.Identity:
            return
        if kind in ACTIVATIONS:
            self._activate(label, ACTIVATIONS[kind])
        elif isinstance(module, nn.Flatten) and kind is nn.Flatten:
            self._flatten(label, module)
        elif isinstance(module, nn.Linear) and kind is nn.Linear:
            _check_parameters(label, module, (module.out_features, module.in_features))
            self._linear(label, module)
        elif isinstance(module, (nn.Conv1d, nn.Conv2d)) and kind in (nn.Conv1d, nn.Conv2d):
            channels = (module.out_channels, module.in_channels // module.groups)
            _check_parameters(label, module, (*channels, *module.kernel_size))
            self._map(label, "conv", module, self._conv_window(label, module))
        elif kind in (nn.MaxPool1d, nn.MaxPool2d):
            self._map(label, "max", module, self._pool_window(label, module))
        elif kind in (nn.AvgPool1d, nn.AvgPool2d):
            self._map(label, "avg", module, self._pool_window(label, module))
        else:
            self._refuse(label, kind.__name__)

    def out_shape(self) -> tuple[int, ...]:
        channels, height, width = self.shape
        if self.flattened:
            return (channels * height * width,)
        return (channels, width) if self.flat else self.shape

    def _refuse(self, label: str, kind: str) -> None:
        instead = next((text for key, text in INSTEAD.items() if kind.startswith(key)), None)
        raise ValueError(
            f"module {label} is none of {TAKES}; " + (instead or "split it into those")
        )

    def _activate(self, label: str, activation: Activation) -> None:
        if self.stages and self.stages[-1].activation == "none":
            last = self.stages[-1]
            kind = label.rsplit(" ", 1)[1]
            self.stages[-1] = replace(last, activation=activation, name=f"{last.name}+{kind}")
            return
        # On its own it is a pooling over one element.
        self.stages.append(Stage(label, "max", self.shape, self.shape, activation=activation))

    def _flatten(self, label: str, module: nn.Flatten) -> None:
        if module.start_dim != 1 or module.end_dim != -1:
            raise ValueError(f"module {label} must flatten everything behind the batch (1 to -1)")
        self.flattened = True

    def _linear(self, label: str, module: nn.Linear) -> None:
        channels, height, width = self.shape
        if not self.flattened:
            raise ValueError(f"module {label} needs a Flatten before it")
        if module.in_features != channels * height * width:
            raise ValueError(
                f"module {label} takes {module.in_features} features, got "
                f"{channels * height * width} from {channels}x{height}x{width}"
            )
        out = (module.out_features, 1, 1)
        self.stages.append(Stage(label, "linear", self.shape, out, module=module))
        self.shape = out

    def _map(self, label: str, kind: Kind, module: nn.Module, window: Window) -> None:
        channels, height, width = self.shape
        if self.flattened:
            raise ValueError(f"module {label} needs a map, but stands behind a Flatten")
        one_dimensional = type(module).__name__.endswith("1d")
        if one_dimensional != self.flat:
            wanted = "(C, L)" if one_dimensional else "(C, H, W)"
            raise ValueError(f"module {label} needs an input_shape {wanted}")
        rows, columns = window.outputs((height, width))
        if rows < 1 or columns < 1:
            raise ValueError(f"module {label} is larger than its input of {height}x{width}")
        if isinstance(module, (nn.Conv1d, nn.Conv2d)):
            frames = self.lags if not self.stages else 1
            if module.in_channels != channels * frames:
                raise ValueError(
                    f"module {label} takes {module.in_channels} channels, got {channels * frames}"
                )
            channels = module.out_channels
        out = (channels, rows, columns)
        self.stages.append(Stage(label, kind, self.shape, out, window, module=module))
        self.shape = out

    def _conv_window(self, label: str, module: nn.Conv1d | nn.Conv2d) -> Window:
        if module.groups != 1:
            raise ValueError(f"module {label} must have groups=1, got {module.groups}")
        if module.padding_mode != "zeros":
            raise ValueError(f"module {label} must pad with zeros, got {module.padding_mode!r}")
        kernel = _pair(module.kernel_size, self.flat)
        dilation = _pair(module.dilation, self.flat)
        if isinstance(module.padding, str):
            total = [(k - 1) * d if module.padding == "same" else 0
                     for k, d in zip(kernel, dilation, strict=True)]  # fmt: skip
            if any(size % 2 for size in total if size > 0):
                raise ValueError(f"module {label} pads unequally; give padding as a number")
            padding = (max(total[0], 0) // 2, max(total[1], 0) // 2)
        else:
            padding = _pair(module.padding, self.flat)
        return self._window(kernel, _pair(module.stride, self.flat), padding, dilation)

    def _pool_window(self, label: str, module: Any) -> Window:
        if module.ceil_mode:
            raise ValueError(f"module {label} must have ceil_mode=False")
        if getattr(module, "return_indices", False):
            raise ValueError(f"module {label} must have return_indices=False")
        if getattr(module, "divisor_override", None) is not None:
            raise ValueError(f"module {label} must have divisor_override=None")
        padding = _pair(module.padding, self.flat)
        if any(padding) and not getattr(module, "count_include_pad", True):
            raise ValueError(f"module {label} must have count_include_pad=True")
        dilation = _pair(getattr(module, "dilation", 1), self.flat)
        kernel = _pair(module.kernel_size, self.flat)
        if any(2 * p > d * (k - 1) + 1 for p, d, k in zip(padding, dilation, kernel, strict=True)):
            raise ValueError(f"module {label} must pad by at most half its kernel, got {padding}")
        return self._window(kernel, _pair(module.stride, self.flat), padding, dilation)

    def _window(
        self,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
    ) -> Window:
        if not self.flat:
            return Window(kernel, stride, padding, dilation)
        return Window((1, kernel[1]), (1, stride[1]), (0, padding[1]), (1, dilation[1]))


def _check_parameters(label: str, module: nn.Module, shape: tuple[int, ...]) -> None:
    weight, bias = module._parameters.get("weight"), module._parameters.get("bias")
    if weight is None:
        raise ValueError(
            f"module {label} must have its weight as a parameter, got one that is made from others "
            "at every call; remove what makes it (torch.nn.utils.prune.remove, remove_weight_norm)"
        )
    for name, tensor, expected in (("weight", weight, shape), ("bias", bias, shape[:1])):
        if tensor is not None and tensor.shape != expected:
            raise ValueError(
                f"module {label} must have a {name} of {expected}, got {tuple(tensor.shape)}"
            )


def tensors_of(
    stages: tuple[Stage, ...],
) -> list[tuple[dict[str, torch.nn.Parameter | None], str, torch.nn.Parameter | None]]:
    """Every parameter of the stages, or None: where it is kept, under which name, and itself."""
    return [
        (stage.module._parameters, name, stage.module._parameters.get(name))
        for stage in stages
        if stage.module is not None and stage.kind in ("conv", "linear")
        for name in ("weight", "bias")
    ]
