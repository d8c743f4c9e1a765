"""REINFORCE learns to catch falling balls from pixels, with gradients over runs and by autograd.

``python experiments/reuse/learn.py [steps=150000] [seeds=3] [autograd_steps=50000]`` writes a line
of JSON per update; ``figure.py`` draws them. Both ways have the same loss and optimiser; autograd
keeps every step's graph, as the published programs do. The convolutions have no bias: an empty
background is then 0, and the dense layer's forty thousand weights do not all learn the same.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from rlcompress.reuse.catch import Catch
from rlcompress.reuse.reinforce import Reinforce, discounted, normalised, sample

RESULTS = Path(__file__).parent / "results" / "learn.jsonl"
SIDE, UPDATE_EVERY, GAMMA, ENTROPY = 40, 475, 0.98, 0.01


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    stack = nn.Sequential(
        nn.Conv2d(1, 16, 3, bias=False), nn.ReLU(), nn.Conv2d(16, 32, 3, bias=False), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * (SIDE - 4) ** 2, 3),
    )  # fmt: skip
    with torch.no_grad():
        stack[0].weight /= 255  # pixels come as they are
        stack[5].weight /= 10  # nearly uniform to begin with
    return stack


def optimizer(stack: nn.Sequential) -> torch.optim.Optimizer:
    groups = [{"params": [stack[0].weight], "lr": 1e-3 / 255}]
    rest = [p for p in stack.parameters() if p is not stack[0].weight]
    return torch.optim.Adam([*groups, {"params": rest, "lr": 1e-3}])


class ByAutograd:
    """The same policy and loss with a graph per step."""

    def __init__(self, stack: nn.Sequential, optimizer: torch.optim.Optimizer, seed: int) -> None:
        self.stack, self.optimizer = stack, optimizer
        self.rng = np.random.default_rng(seed)
        self.log_p, self.actions, self.rewards, self.ends = [], [], [], []

    def act(self, frame: np.ndarray) -> int:
        """Draw an action; its graph is kept."""
        logits = self.stack(torch.from_numpy(frame).float()[None])
        self.log_p.append(logits.log_softmax(1))
        self.actions.append(sample(logits.detach()[0].numpy(), self.rng))
        return self.actions[-1]

    def rewarded(self, reward: float, ended: bool) -> None:
        """What the last action led to."""
        self.rewards.append(reward)
        self.ends.append(ended)

    def update_(self) -> None:
        """One step of the optimiser."""
        returns = torch.from_numpy(normalised(discounted(self.rewards, self.ends, GAMMA))).float()
        log_p = torch.cat(self.log_p)
        chosen = log_p[torch.arange(len(log_p)), self.actions]
        loss = -(chosen * returns).sum() + ENTROPY * (log_p.exp() * log_p).sum()
        self.optimizer.zero_grad()
        (loss / len(log_p)).backward()
        self.optimizer.step()
        self.log_p, self.actions, self.rewards, self.ends = [], [], [], []


def learn(kind: str, seed: int, steps: int) -> None:
    stack = network(seed)
    chosen = optimizer(stack)
    if kind == "runs":
        shape = (1, SIDE, SIDE)
        policy = Reinforce(stack, shape, chosen, gamma=GAMMA, entropy=ENTROPY, mean=True, seed=seed)
    else:
        policy = ByAutograd(stack, chosen, seed)
    env = Catch(SIDE, balls=1)
    frame, _ = env.reset(seed=seed)
    caught: list[float] = []
    spent, start = 0.0, time.process_time()
    for step in range(1, steps + 1):
        frame, reward, ended, _, _ = env.step(policy.act(frame))
        policy.rewarded(reward, ended)
        if reward:
            caught.append(reward)
        if ended:
            frame, _ = env.reset()
        if step % UPDATE_EVERY == 0:
            policy.update_()
            spent += time.process_time() - start
            share = float(np.mean([r > 0 for r in caught]))
            row = {"kind": kind, "seed": seed, "step": step, "caught": round(share, 4)}
            with RESULTS.open("a") as file:
                file.write(json.dumps(row | {"cpu_s": round(spent, 3)}) + "\n")
            caught, start = [], time.process_time()
    print(kind, seed, f"{share:.2f} caught, {spent:.0f} s of the processor", flush=True)


def main(steps: int = 150_000, seeds: int = 3, autograd_steps: int = 50_000) -> None:
    torch.set_num_threads(1)
    RESULTS.unlink(missing_ok=True)
    for seed in range(seeds):
        learn("runs", seed, steps)
    learn("autograd", 0, autograd_steps)


if __name__ == "__main__":
    main(**{key: int(value) for key, value in (word.split("=") for word in sys.argv[1:])})
