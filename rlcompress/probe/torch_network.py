"""A float policy as a torch module that takes raw observations; trains nothing."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from rlcompress.artifact import (
    Activation,
    Add,
    AnyArray,
    CompressedPolicy,
    Conv,
    Flatten,
    Linear,
    MaxPool,
    Op,
)


class Network(nn.Module):
    """Raw observations in, actions out, in the order of the policy's ops.

    Images are channels first inside, as torch's convolutions want them.
    """

    def __init__(self, policy: CompressedPolicy) -> None:
        super().__init__()
        self.policy = policy
        self.steps = nn.ModuleList(_module(op, policy) for op in policy.ops)
        self.half_precision = False
        for owner in (policy.observation, policy.action):
            for name in ("mean", "inv_std", "low", "high"):
                value = getattr(owner, name, None)
                if value is not None:
                    self.register_buffer(name, _tensor(value))

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Actions of a batch."""
        values = [self._prepare(observations)]
        for op, step in zip(self.policy.ops, self.steps, strict=True):
            values.append(step(*[values[k] for k in op.inputs]))
        last = values[-1].float() if self.half_precision else values[-1]
        actions: torch.Tensor = self._act(last)
        return actions

    def half_(self) -> None:
        """Run the layers in half precision; normalisation and the head stay in float32."""
        self.half_precision = True
        self.steps.half()

    def _prepare(self, x: torch.Tensor) -> torch.Tensor:
        observation = self.policy.observation
        x = x.float()
        if observation.mean is not None:
            mean = self.get_buffer("mean").view(observation.shape)
            inv_std = self.get_buffer("inv_std").view(observation.shape)
            x = ((x - mean) * inv_std).clamp(-observation.clip, observation.clip)
        if self.half_precision:
            x = x.half()
        if len(observation.shape) != 3:
            return x.flatten(1)
        return x if observation.channels_first else x.permute(0, 3, 1, 2)

    def _act(self, y: torch.Tensor) -> torch.Tensor:
        action = self.policy.action
        if action.kind == "argmax":
            if action.quantiles > 1:
                y = y.view(-1, action.quantiles, y.shape[1] // action.quantiles).sum(1)
            return y.argmax(1) + action.start
        low, high = self.get_buffer("low").flatten(), self.get_buffer("high").flatten()
        if action.kind == "squash":
            squashed: torch.Tensor = low + 0.5 * (torch.tanh(y) + 1.0) * (high - low)
            return squashed
        return torch.maximum(torch.minimum(y, high), low)


class _ChannelsLastFlatten(nn.Module):
    """Flattens an image in the policy's order, (height, width, channels)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width) to (batch, n)."""
        return x.permute(0, 2, 3, 1).flatten(1)


class _Add(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The sum."""
        return a + b


class _Function(nn.Module):
    """A layer's module followed by its activation."""

    def __init__(self, inner: nn.Module, op: Linear | Activation) -> None:
        super().__init__()
        self.inner = inner
        self.function = op.function
        self.bound = op.bound

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The activation of what the inner module gives."""
        y: torch.Tensor = self.inner(x)
        if self.function == "relu":
            return functional.relu(y)
        if self.function == "tanh":
            return torch.tanh(y)
        return y.clamp(-self.bound, self.bound) if self.function == "hard_tanh" else y


def _module(op: Op, policy: CompressedPolicy) -> nn.Module:
    if isinstance(op, Linear):
        return _Function(_linear(op, policy), op)
    if isinstance(op, MaxPool):
        return nn.MaxPool2d(op.kernel, op.stride, op.padding)
    if isinstance(op, Add):
        return _Add()
    if isinstance(op, Flatten):
        return nn.Flatten() if _may_stay_channels_first(op, policy) else _ChannelsLastFlatten()
    assert isinstance(op, Activation), "networks of bits are refused before"
    return _Function(nn.Identity(), op)


def _linear(op: Linear, policy: CompressedPolicy) -> nn.Module:
    weight = op.weight * op.multiplier.reshape(-1, *[1] * (op.weight.ndim - 1))
    layer: nn.Module
    if isinstance(op, Conv):
        weight = weight.transpose(0, 3, 1, 2)
        outputs, depth, *kernel = weight.shape
        layer = nn.Conv2d(depth, outputs, (kernel[0], kernel[1]), op.stride, op.padding)
    else:
        weight = weight[:, _columns(op, policy)]
        layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight = nn.Parameter(_tensor(weight), requires_grad=False)
    layer.bias = nn.Parameter(_tensor(op.bias), requires_grad=False)
    return layer


def _may_stay_channels_first(op: Flatten, policy: CompressedPolicy) -> bool:
    value = policy.ops.index(op) + 1
    readers = [other for other in policy.ops if value in other.inputs]
    image = len(policy.values[op.inputs[0]].shape) == 3
    return not image or bool(readers and all(isinstance(other, Linear) for other in readers))


def _columns(op: Linear, policy: CompressedPolicy) -> AnyArray:
    """Columns of a dense layer in the order in which torch flattens images."""
    order = np.arange(op.weight.shape[1])
    source = op.inputs[0]
    writer = policy.ops[source - 1] if source else None
    if isinstance(writer, Flatten) and _may_stay_channels_first(writer, policy):
        shape = policy.values[writer.inputs[0]].shape
        if len(shape) == 3:
            return np.asarray(order.reshape(shape).transpose(2, 0, 1).reshape(-1))
    return order


def _tensor(values: AnyArray) -> torch.Tensor:
    return torch.from_numpy(np.array(values, np.float32, order="C"))
