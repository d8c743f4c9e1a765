"""The shape of a compression request: names and types only; values live in conf/."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from rlcompress.training.settings import QuantisationSettings


@dataclass
class FinetuneSettings:
    """What ``method=finetune`` asks of reinforcement learning; fractions are of its steps."""

    total_timesteps: int
    learning_rate: float
    buffer_size: int
    fill: int
    pruning_end: float
    quantise_at: float


@dataclass
class Settings:
    """Everything ``python -m rlcompress.compress`` understands."""

    model: str | None
    env: str | None
    vecnormalize: str | None
    observations: str | None
    method: str
    sparsity: Union[int, float, str]  # noqa: UP007 (omegaconf reads this spelling on Python 3.10 too)
    quant: Union[bool, str]  # noqa: UP007
    tolerance: float
    agreement: float
    criterion: str
    allocation: str
    seed: int
    steps: int | None
    batch_size: int | None
    learning_rate: float | None
    n_envs: int
    noise: float
    memory_mb: int
    check_episodes: int
    final_episodes: int
    episode_steps: int | None
    parity_observations: int | None
    checkpoint_s: float
    threads: int
    device: str
    resume: bool
    quantisation: QuantisationSettings
    finetune: FinetuneSettings
