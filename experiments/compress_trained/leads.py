"""How sure a DQN of Pong is of its actions: their leads, and what noise in its values changes.

``python experiments/compress_trained/leads.py dqn-Pong.zip [...]``
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from stable_baselines3 import DQN

from rlcompress.sb3.environments import make_training_env

GAMES, STEPS, SEED = 8, 500, 123
NOISE = 0.003


def main() -> None:
    """One line per zip."""
    torch.set_num_threads(1)
    for path in sys.argv[1:]:
        values = played(path)
        best = values.topk(2).values
        lead = float((best[:, 0] - best[:, 1]).median())
        noise = NOISE * torch.randn(values.shape, generator=torch.Generator().manual_seed(SEED))
        changed = float(((values + noise).argmax(1) != values.argmax(1)).float().mean())
        print(
            f"{path}: values {float(values.mean()):.2f} +- {float(values.std()):.2f}, "
            f"median lead {lead:.4f}, noise of {NOISE} changes {100 * changed:.0f} % of actions"
        )


@torch.no_grad()
def played(path: str) -> torch.Tensor:
    """The values of every action in games that the policy plays."""
    env = make_training_env("PongNoFrameskip-v4", GAMES, seed=SEED, backend="native", threads=1)
    model = DQN.load(path, device="cpu")
    seen, found = env.reset(), []
    for _ in range(STEPS):
        assert isinstance(seen, np.ndarray)
        images = torch.as_tensor(np.ascontiguousarray(seen.transpose(0, 3, 1, 2)))
        found.append(model.q_net(images))
        seen = env.step(found[-1].argmax(1).numpy())[0]
    return torch.cat(found)


if __name__ == "__main__":
    main()
