"""One contender of the training benchmark that needs nothing of this package: SBX.

Run as a file, by whichever Python has SBX. Prints ``ready`` once it learns, then, for each line
with a number of steps, the seconds that they took.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def main() -> None:
    """Train one window per line of standard input."""
    settings: dict[str, Any] = json.loads(sys.argv[1])
    # Before jax is imported: one thread, as everybody has.
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.sched_setaffinity(0, {settings["core"]})
    import gymnasium
    from sbx import SAC  # type: ignore[import-not-found]
    from stable_baselines3.common.logger import Logger

    model = SAC(
        "MlpPolicy",
        gymnasium.make(settings["env"]),
        seed=settings["seed"],
        learning_starts=settings["warm_up"] // 2,
        buffer_size=20_000,
        batch_size=256,
        policy_kwargs={"net_arch": [256, 256]},
    )
    # Without a logger of its own a model makes an empty directory.
    model.set_logger(Logger(folder=None, output_formats=[]))
    model.learn(settings["warm_up"])
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        model.learn(int(line), reset_num_timesteps=False)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
