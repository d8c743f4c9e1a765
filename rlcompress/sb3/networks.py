"""The networks beyond Stable-Baselines3's own, and the names by which each is asked for.

Every operation is a module of its own, used at one place only, so that a network can be traced,
pruned and quantised layer by layer. A zip with one of these networks needs rlcompress to load.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, NatureCNN
from torch import nn

from rlcompress.quantization.layers import ResidualAdd
from rlcompress.sb3.env_spec import network_for


class ResidualBlock(nn.Module):
    """ReLU, convolution, ReLU, convolution, plus the input; padded, so that the shape stays."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.add = ResidualAdd()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's output, of the input's shape."""
        branch = self.conv2(self.relu2(self.conv1(self.relu1(x))))
        added: torch.Tensor = self.add(x, branch)
        return added


class ImpalaResNet(BaseFeaturesExtractor):
    """Three stacks of convolution, max pool and two residual blocks, then one dense layer.

    Without ``padded`` the first convolution and the pool of each stack have no padding, so that
    84 x 84 images shrink 84 -> 82 -> 40 -> 38 -> 18 -> 16 -> 7; with it they are padded by one, as
    in the canonical IMPALA network (84 -> 42 -> 21 -> 11).
    """

    def __init__(
        self,
        observation_space: spaces.Box,
        features_dim: int = 512,
        *,
        channels: tuple[int, ...] = (32, 64, 64),
        padded: bool = False,
    ) -> None:
        super().__init__(observation_space, features_dim)
        padding = 1 if padded else 0
        n_channels, *sides = observation_space.shape
        stages: list[nn.Module] = []
        for width in channels:
            stages += [
                nn.Conv2d(n_channels, width, 3, padding=padding),
                nn.MaxPool2d(3, stride=2, padding=padding),
                ResidualBlock(width),
                ResidualBlock(width),
            ]
            n_channels = width
            sides = [_after_stack(side, padding) for side in sides]
        self.stages = nn.Sequential(*stages)
        self.relu = nn.ReLU()
        self.flatten = nn.Flatten()
        self.dense = nn.Linear(n_channels * sides[0] * sides[1], features_dim)
        self.dense_relu = nn.ReLU()

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Features of a batch of images, (batch, channels, height, width) scaled to [0, 1]."""
        streams = self.relu(self.stages(observations))
        features: torch.Tensor = self.dense_relu(self.dense(self.flatten(streams)))
        return features


def _after_stack(side: int, padding: int) -> int:
    """Length of one side of an image after the convolution and the pool of a stack."""
    convolved = side - 2 + 2 * padding
    return (convolved + 2 * padding - 3) // 2 + 1


@dataclass(frozen=True)
class Network:
    """A network by name: SB3's policy, its arguments, and the smallest image it can read."""

    policy: str
    extractor: type[BaseFeaturesExtractor] | None = None
    extractor_kwargs: dict[str, Any] = field(default_factory=dict)
    smallest_side: int = 0

    def policy_kwargs(self, net_arch: list[int] | None) -> dict[str, Any]:
        """Arguments for SB3's policy; ``net_arch`` None leaves an MLP's layers to SB3."""
        if self.extractor is None:
            return {} if net_arch is None else {"net_arch": list(net_arch)}
        return {
            "features_extractor_class": self.extractor,
            "features_extractor_kwargs": dict(self.extractor_kwargs),
            # SB3 adds two hidden layers to an extractor that it does not know.
            "net_arch": list(net_arch or []),
        }


NETWORKS: dict[str, Network] = {
    "mlp": Network("MlpPolicy"),
    "nature_cnn": Network("CnnPolicy", NatureCNN, smallest_side=36),
    "impala_resnet": Network("CnnPolicy", ImpalaResNet, smallest_side=29),
    "impala_padded": Network("CnnPolicy", ImpalaResNet, {"padded": True}, smallest_side=17),
}
"""Every network that can be asked for. A new one is a line here and a class above.

Padded layers would take any image, but SB3 reads the smallest of three dimensions as the channels,
and four stacked frames have up to sixteen of them.
"""


def policy_for(
    network: str, observation_space: spaces.Space[Any], *, net_arch: list[int] | None = None
) -> tuple[str, dict[str, Any]]:
    """SB3's policy name and ``policy_kwargs`` for a network; ``auto`` goes by the observations.

    Raises:
        ValueError: unknown name, or a network that cannot read these observations.
    """
    name = network_for(observation_space) if network == "auto" else network
    if name not in NETWORKS:
        near = difflib.get_close_matches(name, NETWORKS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        choices = ", ".join(["auto", *NETWORKS])
        raise ValueError(f"network must be one of {choices}, got {network!r}{hint}")
    chosen = NETWORKS[name]
    image = is_image_space(observation_space)
    if image != (chosen.extractor is not None):
        what, better = ("images", "nature_cnn") if image else ("vectors", "mlp")
        raise ValueError(f"network={name} cannot read {what} (network={better})")
    if image:
        assert isinstance(observation_space, spaces.Box)
        _check_side(name, chosen.smallest_side, observation_space)
    return chosen.policy, chosen.policy_kwargs(net_arch)


def _check_side(name: str, smallest: int, space: spaces.Box) -> None:
    sides = space.shape[1:] if is_image_space_channels_first(space) else space.shape[:2]
    if min(sides) < smallest:
        got = "x".join(str(side) for side in sides)
        raise ValueError(
            f"network={name} needs images of at least {smallest}x{smallest}, got {got} "
            "(the smallest that any network reads is 17x17, network=impala_padded)"
        )
