"""Stacks and sequences of frames for tests, drawn by hypothesis from a seed."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

FINAL = (nn.ReLU, nn.Tanh, nn.Identity)


def random_stack(
    rng: np.random.Generator, shape: tuple[int, int, int], *, flat: bool = False, lags: int = 1
) -> nn.Sequential:
    """Some convolutions and poolings and, mostly, dense layers that fit frames of ``shape``."""
    layers: list[nn.Module] = []
    with torch.no_grad():
        image = torch.zeros(1, shape[0] * lags, *shape[1:])[:, :, 0 if flat else slice(None)]
        for index in range(int(rng.integers(1, 4))):
            layer = _map_layer(rng, image.shape[1], flat, conv=index == 0 or rng.random() < 0.6)
            try:
                image = layer(image)
            except RuntimeError:  # larger than what is left of the frame
                continue
            layers += [layer, FINAL[rng.integers(3)]()]
        if not layers:
            layers = [(nn.Conv1d if flat else nn.Conv2d)(image.shape[1], 3, 1)]
        if rng.random() < 0.8:
            layers.append(nn.Flatten())
            features = nn.Sequential(*layers)(
                torch.zeros(1, shape[0] * lags, *shape[1:])[:, :, 0 if flat else slice(None)]
            ).shape[1]
            for _ in range(int(rng.integers(1, 3))):
                outputs = int(rng.integers(1, 40))
                layers += [nn.Linear(features, outputs, bias=bool(rng.random() < 0.5)), nn.ReLU()]
                features = outputs
            layers.pop()
    return nn.Sequential(*layers)


def _map_layer(rng: np.random.Generator, channels: int, flat: bool, *, conv: bool) -> nn.Module:
    kernel, stride = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    if conv:
        kind = nn.Conv1d if flat else nn.Conv2d
        return kind(
            channels, int(rng.integers(1, 45)), kernel, stride, int(rng.integers(0, 3)),
            int(rng.integers(1, 3)), bias=bool(rng.random() < 0.7))  # fmt: skip
    kinds = (nn.MaxPool1d, nn.AvgPool1d) if flat else (nn.MaxPool2d, nn.AvgPool2d)
    return kinds[rng.integers(2)](kernel, stride, int(rng.integers(0, kernel // 2 + 1)))


def film(rng: np.random.Generator, shape: tuple[int, ...], count: int) -> torch.Tensor:
    """Frames of which each differs from the last in nothing, some pixels, a box or everything."""
    frames = [rng.integers(0, 256, shape).astype(np.uint8)]
    for _ in range(count - 1):
        frame = frames[-1].copy()
        kind = rng.integers(4)
        if kind == 1:
            for _ in range(3):
                frame[tuple(rng.integers(0, size) for size in shape)] ^= 1
        elif kind == 2:
            corner = [int(rng.integers(0, size)) for size in shape]
            box = tuple(slice(c, c + int(rng.integers(1, 6))) for c in corner)
            frame[box] = rng.integers(0, 256)
        elif kind == 3 and rng.random() < 0.3:
            frame = rng.integers(0, 256, shape).astype(np.uint8)
        frames.append(frame)
    return torch.from_numpy(np.stack(frames))


def close_to_torch(outputs: torch.Tensor, expected: torch.Tensor) -> bool:
    """Equal to 1e-5 of the largest output, as sums in another order are."""
    scale = max(1.0, expected.abs().max().item())
    return bool(torch.allclose(outputs, expected, rtol=1e-5, atol=1e-5 * scale))


def original_net(
    filters: int = 4, actions: int = 6, size: tuple[int, int] = (14, 11)
) -> nn.Sequential:
    """The published network on frames (1, *size)."""
    torch.manual_seed(0)
    features = 2 * filters * (size[0] - 4) * (size[1] - 4)
    return nn.Sequential(
        nn.Conv2d(1, filters, 3), nn.ReLU(), nn.Conv2d(filters, 2 * filters, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(features, actions, bias=False))  # fmt: skip
