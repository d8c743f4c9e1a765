"""Small networks with and without what can be quantised, and the least of an actor around them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from rlcompress.quantization.layers import ResidualAdd


@dataclass
class Actor:
    """What preparation asks of an actor."""

    root: nn.Module
    twin: nn.Module | None = None

    def forward(self, prepared: torch.Tensor) -> torch.Tensor:
        return self.root(prepared)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randomise_(module: nn.Module, seed: int = 0) -> None:
    """Weights and biases large enough for every activation to be used."""
    generator = seeded(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = parameter[0].numel()
            parameter.normal_(0.0, 1.4 / fan_in**0.5, generator=generator)


def mlp(activation: type[nn.Module] = nn.ReLU, *, inputs: int = 5, outputs: int = 3) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, 24), activation(), nn.Linear(24, 16), activation(), nn.Linear(16, outputs)
    )


class Block(nn.Module):
    """The residual block of an IMPALA network."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.add = ResidualAdd()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.add(x, self.conv2(self.relu2(self.conv1(self.relu1(x)))))


def resnet() -> nn.Module:
    """For images of 3 x 16 x 16: a stack as in IMPALA, with a max pool on a signed stream."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.MaxPool2d(3, stride=2, padding=1),
        Block(6),
        Block(6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(6 * 8 * 8, 20),
        nn.ReLU(),
        nn.Linear(20, 4),
    )
