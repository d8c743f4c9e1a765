"""What a search is asked for; values live in conf/."""

from __future__ import annotations

from dataclasses import dataclass

OBJECTIVES = ("sparsest", "front")


@dataclass
class Settings:
    """Everything ``python -m rlcompress.search`` understands.

    ``margin`` is what may be lost of the dense return; ``hopeless`` the relative difference from
    dense runs below which a trial is stopped, null for never (at most minus the margin times the
    seeds: one seed has to lose it for all); ``train`` further words for the runs.
    """

    env: str
    directory: str
    objective: str
    trials: int
    seeds: int
    train: str
    lowest: float
    highest: float
    allocations: list[str]
    variants: list[str]
    margin: float
    hopeless: float | None
    sampler_seed: int


def check(settings: Settings) -> None:
    """Raise ValueError where the request is wrong."""
    if settings.objective not in OBJECTIVES:
        raise ValueError(
            f"objective must be one of {', '.join(OBJECTIVES)}, got {settings.objective}"
        )
    for name in ("trials", "seeds"):
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(settings, name)}")
    if not 0 < settings.lowest < settings.highest < 1:
        raise ValueError(
            "lowest and highest must be sparsities with 0 < lowest < highest < 1, got "
            f"{settings.lowest} and {settings.highest}"
        )
    for name in ("allocations", "variants"):
        if not getattr(settings, name):
            raise ValueError(f"{name} must name at least one, got []")
    if not 0 < settings.margin < 1:
        raise ValueError(f"margin must be in (0, 1), got {settings.margin}")
    if settings.hopeless is not None and settings.objective == "front":
        raise ValueError(
            "hopeless must be null with objective=front: it has no single value to judge by"
        )
    if settings.hopeless is not None and settings.hopeless >= -settings.margin:
        raise ValueError(
            f"hopeless must be below -margin ({-settings.margin}), got {settings.hopeless}: a "
            "trial within the margin has hope"
        )
