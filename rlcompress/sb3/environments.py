"""Makes the vectorised environments that are trained and evaluated: wrappers, monitors, seeds.

What an id stands for is decided in ``env_spec``, whose names are repeated here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import gymnasium
from stable_baselines3.common.atari_wrappers import AtariWrapper
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecFrameStack

from rlcompress.sb3.atari_vector import AtariVecEnv
from rlcompress.sb3.env_ids import make_bare
from rlcompress.sb3.env_processes import ProcessVecEnv
from rlcompress.sb3.env_spec import (
    ATARI_NOOPS,
    ATARI_SIDE,
    ATARI_SKIP,
    EnvSpec,
    Kind,
    algorithm_for,
    describe,
    network_for,
)
from rlcompress.sb3.env_wrappers import CheckedEnv, EnvironmentFault, EpisodeSeeds, FlatObservation

__all__ = [
    "BACKENDS",
    "Backend",
    "EnvSpec",
    "EnvironmentFault",
    "Kind",
    "algorithm_for",
    "describe",
    "env_kind",
    "evaluation_seed",
    "make_evaluation_env",
    "make_training_env",
    "network_for",
]

Env = gymnasium.Env[Any, Any]

Backend = Literal["serial", "processes", "native"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
EVALUATION_SEEDS = 1_000_000


def env_kind(env_id: str) -> Kind:
    """Whether the environment's observations are vectors or images."""
    return describe(env_id).kind


def make_training_env(
    env: str | EnvSpec,
    n_envs: int = 1,
    *,
    seed: int = 0,
    render_mode: str | None = None,
    backend: Backend = "serial",
    threads: int = 1,
) -> VecEnv:
    """Environments to learn from, number i seeded with ``seed + i``.

    ``backend`` says where they run: ``serial`` in this process, one after the other, ``processes``
    in one each, ``native`` (Atari alone) in ``threads`` threads of ale-py; what differs from the
    usual wrappers there is listed in ``atari_vector``.

    As in Stable-Baselines3 the monitor sits below the Atari wrappers: the returns it reports are
    unclipped and of whole games, their lengths are frames of the emulator.
    """
    spec = describe(env) if isinstance(env, str) else env
    if backend == "native":
        games = AtariVecEnv(
            spec.env_id, n_envs, seed=seed, threads=threads, sticky=spec.sticky, no_ops=ATARI_NOOPS
        )
        return _stacked(spec, games, seed)

    def make(number: int) -> Callable[[], Env]:
        return lambda: _make_one(spec, seed + number, training=True, render_mode=render_mode)

    makers = [make(number) for number in range(n_envs)]
    if backend == "processes":
        return _stacked(spec, ProcessVecEnv(makers, spec.env_id), seed)
    return _stacked(spec, DummyVecEnv(makers), seed)


def make_evaluation_env(
    env: str | EnvSpec,
    n_envs: int = 1,
    *,
    seed: int = 0,
    max_episode_steps: int | None = None,
    render_mode: str | None = None,
) -> VecEnv:
    """Environments to measure on: whole games, unclipped rewards, a seed for every episode.

    Seeds start at ``evaluation_seed(seed)``, where no training environment's do.
    ``max_episode_steps`` (actions; in Atari the no-op start counts) cuts longer episodes off.
    """
    spec = describe(env) if isinstance(env, str) else env
    first = evaluation_seed(seed)
    options: dict[str, Any] = {}
    if max_episode_steps is not None:
        limit = max_episode_steps * spec.frame_skip
        own = spec.max_episode_steps
        options["max_episode_steps"] = limit if own is None else min(limit, own)

    def make(number: int) -> Callable[[], Env]:
        def one() -> Env:
            inner = _make_one(
                spec, first + number, training=False, render_mode=render_mode, **options
            )
            return EpisodeSeeds(inner, stride=n_envs)

        return one

    return _stacked(spec, DummyVecEnv([make(number) for number in range(n_envs)]), first)


def evaluation_seed(seed: int) -> int:
    """First of the seeds that evaluation uses in a run seeded with ``seed``."""
    return seed + EVALUATION_SEEDS


def _stacked(spec: EnvSpec, vec_env: VecEnv, seed: int) -> VecEnv:
    if spec.frame_stack > 1:
        vec_env = VecFrameStack(vec_env, spec.frame_stack, channels_order="last")
    vec_env.seed(seed)
    return vec_env


def _make_one(
    spec: EnvSpec, seed: int, *, training: bool, render_mode: str | None, **options: Any
) -> Env:
    if render_mode is not None:
        options["render_mode"] = render_mode
    env = make_bare(spec.env_id, {**spec.make_options, **options})
    env.action_space.seed(seed)
    env.observation_space.seed(seed)
    env = Monitor(CheckedEnv(env, spec.env_id))
    if spec.atari:
        return AtariWrapper(
            env,
            noop_max=ATARI_NOOPS,
            frame_skip=ATARI_SKIP,
            screen_size=ATARI_SIDE,
            terminal_on_life_loss=training,
            clip_reward=training,
        )
    return FlatObservation(env) if spec.flatten else env
