"""Consecutive observations of a policy playing its environment, to time it on; times nothing."""

from __future__ import annotations

import numpy as np

from rlcompress.artifact import AnyArray, CompressedPolicy
from rlcompress.evaluation.rollout import record_observations
from rlcompress.runtime.engine import Engine


def played(policy: CompressedPolicy, count: int, seed: int) -> tuple[AnyArray | None, str]:
    """``count`` observations as they come, or None; and where they are from, in one line."""
    if count == 0:
        return None, "timed on the artifact's golden observations, in turn"
    env_id = policy.meta.get("env_id")
    if not isinstance(env_id, str):
        return None, (
            "timed on golden observations, in turn: the artifact does not name its environment"
        )
    # Imported here: only this needs simulators.
    from rlcompress.sb3.environments import make_evaluation_env

    try:
        env = make_evaluation_env(env_id, seed=seed)
    except Exception as error:  # Whatever a foreign environment may raise.
        reason = " ".join(str(error).split())[:200]
        return None, f"timed on golden observations, in turn: {env_id} cannot be made ({reason})"
    try:
        if env.observation_space.shape != policy.observation.shape:
            return None, (
                f"timed on golden observations, in turn: {env_id} gives observations of shape "
                f"{env.observation_space.shape} here, the policy takes {policy.observation.shape}"
            )
        found = record_observations(Engine(policy), env, count, seed=seed)
        # Runtimes take no float64, which some environments give.
        found = found.astype(np.uint8 if policy.observation.image else np.float32)
    finally:
        env.close()
    return found, f"timed on {count} consecutive observations of the policy playing {env_id}"
