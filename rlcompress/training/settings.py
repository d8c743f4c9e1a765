"""The shape of a training configuration: names and types only; values live in conf/.

Plain dataclasses without defaults, so that a value missing from conf/ is an error and not a
silent choice made here. ``plan.py`` turns them into something that can be run.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Union


@dataclass
class Recipe:
    """What every algorithm's table holds: its length, its network, its optimizer."""

    total_timesteps: int
    pruning_updates: int
    net_arch: list[int]
    learning_rate: float
    weight_decay: float
    adam_eps: float
    gamma: float

    def model_arguments(self) -> dict[str, Any]:
        """The entries that are arguments of the algorithm's class, under its own names."""
        ours = {f.name for f in fields(Recipe)} - {"learning_rate", "gamma"}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ours}


@dataclass
class OffPolicyRecipe(Recipe):
    """What algorithms with a replay buffer add."""

    batch_size: int
    buffer_size: int
    learning_starts: int
    tau: float
    train_freq: int
    gradient_steps: int


@dataclass
class SacRecipe(OffPolicyRecipe):
    """SAC and TQC."""

    ent_coef: str


@dataclass
class Td3Recipe(OffPolicyRecipe):
    """TD3 and DDPG; ``action_noise`` is the standard deviation of the exploration noise."""

    action_noise: float


@dataclass
class DqnRecipe(OffPolicyRecipe):
    """DQN and QR-DQN; the exploration fraction is one of T."""

    target_update_interval: int
    exploration_fraction: float
    exploration_initial_eps: float
    exploration_final_eps: float


@dataclass
class A2cRecipe(Recipe):
    """What PPO and A2C share."""

    n_steps: int
    gae_lambda: float
    ent_coef: float
    vf_coef: float
    max_grad_norm: float


@dataclass
class PpoRecipe(A2cRecipe):
    """PPO."""

    batch_size: int
    n_epochs: int
    clip_range: float


@dataclass
class PruningSettings:
    """Schedule and scope of pruning; fractions are of T."""

    begin: float
    end: float
    updates: int | None
    power: float
    initial: float
    skip: list[str]
    prune_unused: bool


@dataclass
class QuantisationSettings:
    """Bits and granularity of quantisation."""

    weight_bits: int
    activation_bits: int | None
    dense: str
    conv: str
    skip: list[str]


@dataclass
class Settings:
    """Everything ``python -m rlcompress.train`` understands."""

    env: str
    algo: str
    network: str
    sparsity: float
    quant: Union[bool, str]  # noqa: UP007 (omegaconf reads this spelling on Python 3.10 as well)
    seed: int
    total_timesteps: int | None
    extra_timesteps: int | None
    extra_fraction: float | None
    trunks: str | None
    criterion: str
    allocation: str
    budget: str
    device: str
    threads: int
    resume: bool
    training: str
    matmul: str
    n_envs: int
    env_backend: str
    eval_freq: int
    eval_episodes: int
    final_episodes: int
    eval_episode_steps: int | None
    parity_observations: int | None
    checkpoint_freq: int
    draw_every: int
    pruning: PruningSettings
    quantisation: QuantisationSettings
    sac: SacRecipe
    td3: Td3Recipe
    dqn_atari: DqnRecipe
    dqn_resnet: DqnRecipe
    dqn_vector: DqnRecipe
    ppo: PpoRecipe
    a2c: A2cRecipe


def recipe_name(algo: str, *, image: bool, resnet: bool) -> str:
    """Which table of ``Settings`` the algorithm reads."""
    if algo in ("dqn", "qrdqn"):
        return "dqn_vector" if not image else "dqn_resnet" if resnet else "dqn_atari"
    return {"tqc": "sac", "ddpg": "td3"}.get(algo, algo)
