"""The contenders of the tables: one network, acted on and learnt from in several ways.

Each arm gives logits for frames and, where it trains, does an update of REINFORCE with the same
loss. Measures nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from rlcompress.reuse.original import OriginalReuse, paper_network
from rlcompress.reuse.reinforce import Reinforce, discounted, normalised
from rlcompress.reuse.runs import Frames
from rlcompress.reuse.stack import ReuseStack

Forward = Callable[[Frames], torch.Tensor]


@dataclass(frozen=True)
class Shape:
    """Which network: first layer's filters, a frame's height and width, actions, initial values."""

    filters: int
    size: tuple[int, int]
    actions: int
    seed: int

    def network(self) -> nn.Sequential:
        """The published network; the same values for the same shape."""
        return paper_network(self.filters, self.size, self.actions, seed=self.seed)


def as_input(frame: Frames, device: str) -> torch.Tensor:
    """A frame [H, W] as the published programs hand it over: copied twice, in floats."""
    return torch.tensor(frame).float().clone().to(device)[None, None]


def eager(shape: Shape, device: str) -> Forward:
    """Plain torch."""
    network = shape.network().to(device)
    return lambda frame: network(as_input(frame, device))


def channels_last(shape: Shape, device: str) -> Forward:
    """Plain torch, channels innermost."""
    network = shape.network().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    last = torch.channels_last
    return lambda frame: network(as_input(frame, device).to(memory_format=last))


def original(shape: Shape, device: str) -> Forward:
    """The published algorithm."""
    forward = OriginalReuse(shape.network().to(device))
    return lambda frame: forward(as_input(frame, device))


def ours_dense(shape: Shape, device: str) -> Forward:
    """Our kernels on every position of every frame."""
    return _stack(shape, device, reuse=False)


def ours(shape: Shape, device: str) -> Forward:
    """Our kernels on the positions that changed."""
    return _stack(shape, device, reuse=True)


def _stack(shape: Shape, device: str, *, reuse: bool) -> Forward:
    stack = ReuseStack(shape.network().to(device), (1, *shape.size), reuse=reuse)
    return lambda frame: stack(frame[None])


def draw(logits: torch.Tensor) -> tuple[int, torch.Tensor]:
    """An action and its logarithmic probability, as the published programs draw it."""
    policy: Any = torch.distributions.Categorical(logits.softmax(1))
    action = policy.sample()
    return int(action.item()), policy.log_prob(action)


FORWARD: dict[str, Callable[[Shape, str], Forward]] = {
    "eager": eager,
    "channels_last": channels_last,
    "ours_dense": ours_dense,
    "original": original,
    "ours": ours,
}
"""Arms by name; those before ``original`` are dense."""

DENSE = ("eager", "channels_last", "ours_dense")


def forward_arm(name: str, shape: Shape) -> Forward:
    """An arm by name; with ``_gpu`` behind it on the graphics processor."""
    device = "cuda" if name.endswith("_gpu") else "cpu"
    return FORWARD[name.removesuffix("_gpu")](shape, device)


class AutogradPolicy:
    """REINFORCE as published: every step's graph is kept until the update."""

    def __init__(self, shape: Shape, device: str, *, reuse: bool) -> None:
        self.network = shape.network().to(device)
        self.device = device
        self._reuse = OriginalReuse(self.network) if reuse else None
        self.optimizer = published_optimizer(self.network)
        self._forget()

    def act(self, frame: Frames) -> int:
        """Draw an action; its graph is kept."""
        x = as_input(frame, self.device)
        logits = self.network(x) if self._reuse is None else self._reuse(x)
        action, log_p = draw(logits)
        self._log_p.append(log_p)
        return action

    def rewarded(self, reward: float, ended: bool) -> None:
        """What the last action led to."""
        self._rewards.append(reward)
        self._ends.append(ended)

    def update_(self) -> float:
        """One step of the optimiser on all that was seen since the last one."""
        returns = torch.from_numpy(normalised(discounted(self._rewards, self._ends, 0.99)))
        loss = -(torch.cat(self._log_p) * returns.to(self.device)).sum()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self._forget()
        return loss.item()

    def _forget(self) -> None:
        self._log_p: list[torch.Tensor] = []
        self._rewards: list[float] = []
        self._ends: list[bool] = []
        if self._reuse is not None:
            self._reuse.forget()


class RunPolicy:
    """REINFORCE on our stack, with gradients over runs."""

    def __init__(self, shape: Shape, device: str) -> None:
        self.network = shape.network().to(device)
        optimizer = published_optimizer(self.network)
        self._reinforce = Reinforce(self.network, (1, *shape.size), optimizer, seed=shape.seed)
        self.rewarded = self._reinforce.rewarded
        self.update_ = self._reinforce.update_

    def act(self, frame: Frames) -> int:
        """Draw an action; the frame is kept."""
        return self._reinforce.act(frame[None])


Policy = AutogradPolicy | RunPolicy
POLICIES = ("eager", "original", "ours")


def policy_arm(name: str, shape: Shape) -> Policy:
    """An arm that trains, by name; with ``_gpu`` behind it on the graphics processor."""
    device = "cuda" if name.endswith("_gpu") else "cpu"
    kind = name.removesuffix("_gpu")
    if kind == "ours":
        return RunPolicy(shape, device)
    return AutogradPolicy(shape, device, reuse=kind == "original")


def published_optimizer(network: nn.Module) -> torch.optim.Optimizer:
    """The published programs' (a momentum of a thousandth included)."""
    return torch.optim.SGD(network.parameters(), lr=5e-4, momentum=1e-3)
