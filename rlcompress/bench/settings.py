"""The keys of the inference benchmark; their values live in conf/."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Settings:
    """Names as on the command line; lists may be given as ``a,b``."""

    network: list[str]
    sparsity: list[float]
    allocation: list[str]
    agents: str | None
    weights: list[str]
    games: list[str]
    game_sparsity: float
    backends: list[str]
    peers: str
    isa: list[str]
    batch: list[int]
    break_even: bool
    rounds: int
    round_s: float
    warm_up_s: float
    seed: int
    out: str | None
