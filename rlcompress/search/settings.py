"""What a search is asked for; values live in conf/."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rlcompress.artifact.file import write_bytes

OBJECTIVES = ("sparsest", "front")

REQUEST = "request.json"
"""In a search's directory: what it was asked for when it began."""

DIGITS = 4
"""To which the sparsity of a trial is rounded."""

_MAY_CHANGE = ("directory", "trials", "hopeless", "sampler_seed")


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
    _check_range(settings)
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


def _check_range(settings: Settings) -> None:
    if not 0 < settings.lowest < settings.highest < 1:
        raise ValueError(
            "lowest and highest must be sparsities with 0 < lowest < highest < 1, got "
            f"{settings.lowest} and {settings.highest}"
        )
    if settings.highest > 1 - 10**-DIGITS:
        raise ValueError(
            f"highest must be at most {1 - 10**-DIGITS:g}, got {settings.highest}: sparsities are "
            f"tried to {DIGITS} digits"
        )


def check_same(settings: Settings) -> None:
    """Raise ValueError where the directory holds a search that asked for something else.

    Its dense runs and trials would be compared with those of this one.
    """
    path = Path(settings.directory) / REQUEST
    before = json.loads(path.read_bytes()) if path.is_file() else {}
    now = _request(settings)
    for name, was in before.items():
        if now[name] != was:
            raise ValueError(
                f"{settings.directory} holds a search with {name}={was}, but {name} is now "
                f"{now[name]}; give the same, or another directory="
            )


def remember(settings: Settings) -> None:
    """Write down what the search in this directory is asked for."""
    Path(settings.directory).mkdir(parents=True, exist_ok=True)
    text = json.dumps(_request(settings), indent=2) + "\n"
    write_bytes(Path(settings.directory) / REQUEST, text.encode())


def _request(settings: Settings) -> dict[str, object]:
    asked = asdict(settings) | {"train": " ".join(settings.train.split())}
    return {name: value for name, value in asked.items() if name not in _MAY_CHANGE}
