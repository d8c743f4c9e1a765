"""REINFORCE on a reusing stack: acts frame by frame, learns by replaying what it saw.

Owns what is remembered between two updates; plays no environment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from rlcompress.reuse.replay import Replay
from rlcompress.reuse.runs import Frames
from rlcompress.reuse.stack import ReuseStack

Floats = npt.NDArray[np.float64]


def discounted(rewards: Sequence[float], ends: Sequence[bool], gamma: float) -> Floats:
    """Return of each step; an episode's last step begins anew."""
    found = np.empty(len(rewards))
    total = 0.0
    for k in reversed(range(len(rewards))):
        total = rewards[k] + gamma * total * (not ends[k])
        found[k] = total
    return found


def normalised(returns: Floats) -> Floats:
    """Returns of mean 0 and deviation 1, nearly: as the published loss has them."""
    centred = returns - float(returns.mean())
    if len(returns) < 2:  # has no deviation
        return centred
    return centred / (float(returns.std(ddof=1)) + 1e-4)


def sample(logits: npt.NDArray[np.float32], rng: np.random.Generator) -> int:
    """An action drawn with the softmax's probabilities."""
    exact = logits.astype(np.float64)
    sums = np.exp(exact - exact.max()).cumsum()
    drawn = int(sums.searchsorted(rng.random() * sums[-1], side="right"))
    return min(drawn, len(sums) - 1)


class Reinforce:
    """``act`` on a frame [C, H, W], ``rewarded`` after each step, ``update_`` when enough was seen.

    ``entropy`` is the weight of an entropy bonus. Losses are sums over steps unless ``mean``.
    """

    def __init__(
        self,
        modules: nn.Sequential,
        input_shape: tuple[int, int, int],
        optimizer: torch.optim.Optimizer,
        *,
        gamma: float = 0.99,
        entropy: float = 0.0,
        mean: bool = False,
        seed: int = 0,
    ) -> None:
        self.stack = ReuseStack(modules, input_shape)
        self.replay = Replay(modules, input_shape)
        self.optimizer = optimizer
        self.gamma, self.entropy, self.mean = gamma, entropy, mean
        self._rng = np.random.default_rng(seed)
        self._forget()

    def __len__(self) -> int:
        return len(self._rewards)

    def act(self, frame: Frames) -> int:
        """Draw an action; the frame is kept."""
        self._frames.append(frame.copy())  # some environments write into the same one again
        action = sample(self.stack(frame)[0].cpu().numpy(), self._rng)
        self._actions.append(action)
        return action

    def rewarded(self, reward: float, ended: bool) -> None:
        """What the last action led to."""
        self._rewards.append(reward)
        self._ends.append(ended)

    def update_(self) -> float:
        """One step of the optimiser on all that was seen since the last one; returns the loss."""
        if not len(self) or len(self) != len(self._actions):
            raise ValueError(
                "act and rewarded must have been called in turns before update_, got "
                f"{len(self._actions)} actions and {len(self)} rewards"
            )
        advantages = torch.from_numpy(normalised(discounted(self._rewards, self._ends, self.gamma)))
        actions = torch.tensor(self._actions)
        scale = 1 / len(self) if self.mean else 1.0

        def loss(logits: torch.Tensor, where: slice) -> torch.Tensor:
            log_p = F.log_softmax(logits, 1)
            chosen = log_p.gather(1, actions[where, None].to(logits.device))[:, 0]
            value = -(chosen * advantages[where].to(logits)).sum()
            if self.entropy:
                value = value + self.entropy * (log_p.exp() * log_p).sum()
            return value * scale

        self.optimizer.zero_grad()
        total = self.replay.backward(np.stack(self._frames), loss)
        self.optimizer.step()
        self._forget()
        return total

    def _forget(self) -> None:
        self._frames: list[Frames] = []
        self._actions: list[int] = []
        self._rewards: list[float] = []
        self._ends: list[bool] = []
