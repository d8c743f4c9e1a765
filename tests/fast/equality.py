"""Prints the table of docs/fast_training.md: how far compiled updates end from SB3's own.

``python -m tests.fast.equality``, from the repository's root; two minutes.
"""

import torch

from tests.fast.twins import KINDS, furthest, train, twins


def main() -> None:
    """Largest differences of parameters and targets after 5 and after 100 updates."""
    torch.set_num_threads(1)
    for name in ("SAC", "TD3", "DDPG", "DQN"):
        for kind in KINDS:
            plain, fast = twins(name, kind, compiled=True)
            found = []
            for updates in (5, 95):
                for model in (plain, fast):
                    train(model, updates)
                found.append(furthest(plain, fast))
            print(f"{name:6}{kind:12}{found[0]:10.1e}{found[1]:10.1e}", flush=True)


if __name__ == "__main__":
    main()
