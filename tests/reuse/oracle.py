"""What a stack should come to, worked out anew in numpy from the definitions; runs none of ours.

Maps are float64 [positions, channels], positions row by row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import nn


def along(module: nn.Module, name: str) -> tuple[int, int]:
    value = getattr(module, name, 1)
    return (value, value) if isinstance(value, int) else value


@dataclass
class Layer:
    """One module with, for every output position, the input positions of its taps (-1: outside)."""

    module: nn.Module
    taps: np.ndarray

    def values(self, below: np.ndarray) -> np.ndarray:
        padded = np.vstack([below, np.zeros((1, below.shape[1]))])  # -1 reads the zeros
        read = padded[self.taps]
        if isinstance(self.module, nn.Conv2d):
            weight = self.module.weight.detach().double().numpy()
            weight = weight.reshape(*weight.shape[:2], -1)
            out = np.einsum("utc,oct->uo", read, weight)
            return out if self.module.bias is None else out + self.module.bias.detach().numpy()
        if isinstance(self.module, nn.MaxPool2d):
            return np.where((self.taps < 0)[:, :, None], -np.inf, read).max(1)
        return read.mean(1)

    def reached(self, dirty: np.ndarray) -> np.ndarray:
        """Which outputs read any of the inputs that are dirty."""
        return np.append(dirty, False)[self.taps].any(1)


def taps_of(module: nn.Module, size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """Taps [outputs, taps] on a map of ``size``, and the size of the outputs."""
    kernel, stride, padding, dilation = (
        along(module, name) for name in ("kernel_size", "stride", "padding", "dilation")
    )
    out = tuple(
        (size[a] + 2 * padding[a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1
        for a in (0, 1)
    )
    found = []
    for u in np.ndindex(*out):
        taps = []
        for j in np.ndindex(*kernel):
            y, x = (u[a] * stride[a] - padding[a] + j[a] * dilation[a] for a in (0, 1))
            inside = 0 <= y < size[0] and 0 <= x < size[1]
            taps.append(y * size[1] + x if inside else -1)
        found.append(taps)
    return np.array(found), out


class Oracle:
    """Maps, what a change makes dirty, and gradients of a stack of Conv2d, pools and one Linear.

    ReLU and Tanh stand behind convolutions or pools; the Linear is last.
    """

    def __init__(self, net: nn.Sequential, size: tuple[int, int]) -> None:
        self.layers: list[Layer] = []
        self.functions: list[str] = []
        for module in net:
            if isinstance(module, nn.ReLU | nn.Tanh):
                self.functions[-1] = type(module).__name__
            elif isinstance(module, nn.Linear):
                self.dense = module
            elif not isinstance(module, nn.Flatten | nn.Identity):
                taps, size = taps_of(module, size)
                self.layers.append(Layer(module, taps))
                self.functions.append("Identity")

    def maps(self, frame: np.ndarray) -> list[np.ndarray]:
        """The frame [C, H, W] and every layer's map."""
        found = [frame.reshape(len(frame), -1).T.astype(np.float64)]
        for layer, function in zip(self.layers, self.functions, strict=True):
            out = layer.values(found[-1])
            found.append({"ReLU": np.maximum, "Tanh": lambda x, _: np.tanh(x)}.get(
                function, lambda x, _: x)(out, 0))  # fmt: skip
        return found

    def dense_weight(self) -> np.ndarray:
        """The dense layer's weights [positions, channels, outputs]."""
        weight = self.dense.weight.detach().double().numpy()
        positions = len(self.layers[-1].taps)
        return weight.reshape(len(weight), -1, positions).transpose(2, 1, 0)

    def outputs(self, last: np.ndarray) -> np.ndarray:
        """The dense layer's outputs for the last map, a partial sum per position first."""
        partial = np.einsum("uc,uco->uo", last, self.dense_weight())
        bias = self.dense.bias
        return partial.sum(0) + (0 if bias is None else bias.detach().numpy())

    def gradients(self, frames: np.ndarray, on_outputs: np.ndarray) -> list[np.ndarray]:
        """Run by run, for convolutions with ReLU: gradients of every weight, then the dense one's.

        ``on_outputs`` [steps, outputs] is the loss's gradient. A run ends where a position is made
        dirty; it is then differentiated once, with what was added up while it lasted, from the last
        layer to the first and with the values that it had.
        """
        weights = [layer.module.weight.detach().double().numpy() for layer in self.layers]
        weights = [w.reshape(*w.shape[:2], -1) for w in weights]
        found = [np.zeros_like(w) for w in weights]
        dense, on_dense = self.dense_weight(), np.zeros_like(self.dense_weight())
        sums = np.vstack([np.zeros(on_outputs.shape[1]), on_outputs.cumsum(0)])
        maps = self.maps(frames[0])
        begun = np.zeros(len(maps[-1]), int)
        waiting = [np.zeros((len(m) + 1, m.shape[1])) for m in maps]  # gradients of what is read
        for step in range(1, len(frames) + 1):
            if step < len(frames):
                dirty = [(frames[step] != frames[step - 1]).any(0).reshape(-1)]
                for layer in self.layers:
                    dirty.append(layer.reached(dirty[-1]))
            else:
                dirty = [np.ones(len(m), bool) for m in maps]
            for u in np.flatnonzero(dirty[-1]):
                during = sums[step] - sums[begun[u]]
                begun[u] = step
                on_dense[u] += np.outer(maps[-1][u], during)
                waiting[-1][u] += dense[u] @ during
            for k in reversed(range(len(self.layers))):
                below = np.vstack([maps[k], np.zeros((1, maps[k].shape[1]))])
                for u in np.flatnonzero(dirty[k + 1]):
                    error = np.where(maps[k + 1][u] > 0, waiting[k + 1][u], 0)
                    waiting[k + 1][u] = 0
                    taps = self.layers[k].taps[u]
                    found[k] += np.einsum("o,tc->oct", error, below[taps])
                    np.add.at(waiting[k], taps, np.einsum("o,oct->tc", error, weights[k]))
            if step < len(frames):
                maps = self.maps(frames[step])
        flat = on_dense.transpose(2, 1, 0).reshape(on_dense.shape[2], -1)
        return [*found, flat]
