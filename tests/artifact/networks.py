"""The experiment networks in full size, pruned and quantised as training would leave them.

Weights are Gaussian, pruned by magnitude with Erdos-Renyi densities per layer, so their masks and
values have the entropies of real ones; they have learnt nothing.
"""

from __future__ import annotations

import numpy as np

from rlcompress.artifact import (
    Action,
    Activation,
    Add,
    AnyArray,
    CompressedPolicy,
    Conv,
    Dense,
    Flatten,
    Function,
    MaxPool,
    Observation,
    Op,
    TensorType,
)

SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


def mlp(inputs: int, outputs: int, *, sparsity: float, quantised: bool = True) -> CompressedPolicy:
    """SAC's actor, 2 x 256."""
    net = _Net(Observation((inputs,)), sparsity, quantised)
    net.dense(256).dense(256).dense(outputs, "none", final=True)
    bound = np.ones(outputs, np.float32)
    return net.policy(Action("squash", (outputs,), -bound, bound))


def hopper(sparsity: float, quantised: bool = True) -> CompressedPolicy:
    return mlp(11, 3, sparsity=sparsity, quantised=quantised)


def humanoid(sparsity: float, quantised: bool = True) -> CompressedPolicy:
    return mlp(376, 17, sparsity=sparsity, quantised=quantised)


def nature_cnn(sparsity: float, quantised: bool = True) -> CompressedPolicy:
    """DQN's network on four stacked frames, 6 actions."""
    net = _Net(Observation((4, 84, 84), True, True, 1 / 255), sparsity, quantised)
    net.conv(32, 8, stride=4).conv(64, 4, stride=2).conv(64, 3).flatten()
    net.dense(512).dense(6, "none", final=True)
    return net.policy(Action("argmax"))


def impala(sparsity: float, quantised: bool = True) -> CompressedPolicy:
    """Three stacks of convolution, pool and two residual blocks, as in the paper's code."""
    net = _Net(Observation((4, 84, 84), True, True, 1 / 255), sparsity, quantised)
    for channels in (32, 64, 64):
        net.conv(channels, 3, "none").pool()
        for _ in range(2):
            net.residual(channels)
    net.relu().flatten().dense(512).dense(6, "none", final=True)
    return net.policy(Action("argmax"))


NETWORKS = {"hopper": hopper, "humanoid": humanoid, "nature_cnn": nature_cnn, "impala": impala}


class _Net:
    """Collects layers first: densities depend on all of them."""

    def __init__(self, observation: Observation, sparsity: float, quantised: bool) -> None:
        self.rng = np.random.default_rng(0)
        self.observation = observation
        self.sparsity = sparsity
        self.quantised = quantised
        self.ops: list[Op] = []

    def _type(self, value: int = -1) -> TensorType:
        if value == -1:
            value = len(self.ops)
        return self.ops[value - 1].output if value else self.observation.value

    def _out(self, shape: tuple[int, ...], function: Function, final: bool = False) -> TensorType:
        if final or not self.quantised:
            return TensorType(shape)
        if function == "relu":
            return TensorType(shape, "unsigned", 8, 3.1 / 255)
        return TensorType(shape, "signed", 8, 3.1 / 127)

    def dense(self, outputs: int, function: Function = "relu", final: bool = False) -> _Net:
        shape = (outputs, self._type().size)
        output = self._out((outputs,), function, final)
        self._append(Dense, shape, output, function)
        return self

    def conv(self, channels: int, kernel: int, function: Function = "relu", **window: int) -> _Net:
        stride, padding = window.get("stride", 1), window.get("padding", 0)
        height, width, depth = self._type().shape
        lengths = [(side + 2 * padding - kernel) // stride + 1 for side in (height, width)]
        output = self._out((lengths[0], lengths[1], channels), function)
        extra = {"stride": (stride, stride), "padding": (padding, padding)}
        self._append(Conv, (channels, kernel, kernel, depth), output, function, **extra)
        return self

    def pool(self) -> _Net:
        given = self._type()
        side = (given.shape[0] - 3) // 2 + 1
        output = TensorType((side, side, given.shape[2]), given.kind, given.bits, given.scale)
        name, inputs = self._place()
        self.ops.append(MaxPool(name, inputs, output, (3, 3), (2, 2)))
        return self

    def residual(self, channels: int) -> _Net:
        stream = len(self.ops)
        self.relu().conv(channels, 3, padding=1).conv(channels, 3, "none", padding=1)
        output = self._out(self._type().shape, "none")
        inputs = (stream, len(self.ops))
        multipliers = (0.9, 1.1) if self.quantised else (1.0, 1.0)
        self.ops.append(Add(f"add.{len(self.ops)}", inputs, output, multipliers))
        return self

    def relu(self) -> _Net:
        given = self._type()
        output = given
        if given.kind != "float":
            output = TensorType(given.shape, "unsigned", 8, given.scale)
        name, inputs = self._place()
        self.ops.append(Activation(name, inputs, output, "relu"))
        return self

    def flatten(self) -> _Net:
        given = self._type()
        name, inputs = self._place()
        output = TensorType((given.size,), given.kind, given.bits, given.scale)
        self.ops.append(Flatten(name, inputs, output))
        return self

    def _place(self) -> tuple[str, tuple[int, ...]]:
        return f"layers.{len(self.ops)}", (len(self.ops),)

    def _append(
        self, kind: type, shape: tuple[int, ...], output: TensorType, function: str, **extra: object
    ) -> None:
        given = self._type()
        name, inputs = self._place()
        rows = shape[0]
        multiplier = np.ones(1, np.float32)
        bias: AnyArray = self.rng.normal(0, 0.05, rows).astype(np.float32)
        if self.quantised:
            count = rows if kind is Conv else 1
            multiplier = self.rng.uniform(1e-4, 2e-4, count).astype(np.float32)
            if given.kind != "float":
                bias = np.rint(bias / (multiplier * 3.1 / 255)).astype(np.int32)
        weight = np.zeros(shape, np.int8 if self.quantised else np.float32)
        self.ops.append(kind(name, inputs, output, weight, multiplier, bias, function, **extra))

    def policy(self, action: Action) -> CompressedPolicy:
        """The network with weights filled in."""
        policy = CompressedPolicy(tuple(self.ops), self.observation, action)
        densities = _densities([op.weight.shape for op in policy.linears], self.sparsity)
        for op, density in zip(policy.linears, densities, strict=True):
            op.weight[:] = _pruned(self.rng, op.weight.shape, density, self.quantised)
        return policy


def _densities(shapes: list[tuple[int, ...]], sparsity: float) -> AnyArray:
    """Erdos-Renyi with kernel term; layers that would exceed 1 are dense."""
    sizes = np.array([np.prod(shape) for shape in shapes], float)
    sums = np.array([sum(shape) for shape in shapes], float)
    dense = np.zeros(len(shapes), bool)
    while True:
        scale = ((1 - sparsity) * sizes.sum() - sizes[dense].sum()) / sums[~dense].sum()
        found = np.where(dense, 1.0, scale * sums / sizes)
        if (found <= 1).all():
            return found
        dense |= found > 1


def _pruned(
    rng: np.random.Generator, shape: tuple[int, ...], density: float, quantised: bool
) -> AnyArray:
    """Gaussian weights without the smallest, which fine-tuning then drew towards zero."""
    weight = rng.normal(0, 1, shape)
    threshold = np.quantile(np.abs(weight), 1 - density)
    kept = np.abs(weight) >= threshold
    weight = np.where(kept, np.sign(weight) * (np.abs(weight) - 0.7 * threshold), 0)
    if not quantised:
        return (weight * 0.05).astype(np.float32)
    integers = np.rint(weight / np.abs(weight).max() * 127)
    return np.where(kept & (integers == 0), 1, integers).astype(np.int8)
