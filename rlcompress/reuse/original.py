"""The published algorithm, written anew from its description, to be measured beside ours.

One rectangle around all changed pixels; both layers are computed again inside it (the second one in
a rectangle that is larger than it need be by the kernel's side), pasted into copies of the last
maps; the dense layer in full at every step. Correct for two unpadded 3x3 layers of stride 1, and
for gradients as well, for the maps stay in autograd's graph. Not meant to be used otherwise.
"""

from __future__ import annotations

import torch
from torch import nn

KERNEL = 3


def paper_network(
    filters: int, size: tuple[int, int], actions: int, *, seed: int, channels: int = 1
) -> nn.Sequential:
    """The published network: ``filters`` and twice as many, and a dense layer without bias."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        rows, columns = (side - 2 * (KERNEL - 1) for side in size)
        return nn.Sequential(
            nn.Conv2d(channels, filters, KERNEL),
            nn.ReLU(),
            nn.Conv2d(filters, 2 * filters, KERNEL),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * filters * rows * columns, actions, bias=False),
        )


class OriginalReuse:
    """``original(x)`` gives the logits of one frame [1, C, H, W]; ``forget()`` after an update."""

    def __init__(self, network: nn.Sequential) -> None:
        self.first, _, self.second, _, _, self.dense = network
        self.forget()

    def forget(self) -> None:
        """Compute the next frame in full."""
        self._last: torch.Tensor | None = None
        self._maps: tuple[torch.Tensor, torch.Tensor] | None = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The logits of the next frame."""
        last, self._last = self._last, x
        if last is None or self._maps is None:
            one = self.first(x).relu()
            self._maps = one, self.second(one).relu()
        else:
            changed = (last - x).nonzero()
            if len(changed):
                self._maps = self._update(x, changed)
        logits: torch.Tensor = self.dense(self._maps[1].flatten(1))
        return logits

    def _update(self, x: torch.Tensor, changed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert self._maps is not None
        one, two = self._maps
        low = [int(changed[:, axis].min().item()) for axis in (2, 3)]
        high = [int(changed[:, axis].max().item()) for axis in (2, 3)]
        begin = [max(k - (KERNEL - 1), 0) for k in low]
        end = [min(k + KERNEL, side) for k, side in zip(high, x.shape[2:], strict=True)]
        one = _pasted(one, self.first(_cut(x, begin, end)).relu(), begin)
        begin = [max(k - (KERNEL - 1), 0) for k in begin]
        end = [min(k + KERNEL, side) for k, side in zip(end, one.shape[2:], strict=True)]
        two = _pasted(two, self.second(_cut(one, begin, end)).relu(), begin)
        return one, two


def _cut(x: torch.Tensor, begin: list[int], end: list[int]) -> torch.Tensor:
    return x[:, :, begin[0] : end[0], begin[1] : end[1]]


def _pasted(whole: torch.Tensor, patch: torch.Tensor, at: list[int]) -> torch.Tensor:
    whole = whole.clone()
    rows, columns = patch.shape[2:]
    whole[:, :, at[0] : at[0] + rows, at[1] : at[1] + columns] = patch
    return whole
