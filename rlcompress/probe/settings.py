"""The keys of the probe, and what they come to once checked; values live in conf/."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlcompress.probe.backends import BACKENDS
from rlcompress.probe.compare import backend_names
from rlcompress.probe.measure import MeasureSpec
from rlcompress.probe.registry import LEVELS, Request, What
from rlcompress.probe.source import Source, open_source

LONGEST_ROUND_S = 60.0
"""Most seconds of one turn of a backend."""


@dataclass
class Settings:
    """Names as on the command line; lists may be given as ``a,b``."""

    run: str | None
    out: str | None
    backends: list[str]
    level: list[str]
    batch: list[int]
    threads: int
    isa: str
    rounds: int
    round_s: float
    warm_up_s: float
    stream: int
    control: list[str]
    rates: list[float]
    control_s: float
    samples: bool
    seed: int


@dataclass(frozen=True)
class Plan:
    """What will be probed, checked."""

    settings: Settings
    source: Source
    backends: tuple[str, ...]
    levels: tuple[What, ...]
    requests: tuple[Request, ...]
    spec: MeasureSpec
    control: tuple[str, ...]
    out: Path


def make_plan(settings: Settings) -> Plan:
    """Check every key and open the policy.

    Raises:
        ValueError: naming the key and what it may be.
    """
    if settings.run is None:
        raise ValueError("run is missing: run=<run directory, .rlc or SB3 zip>")
    names = tuple(dict.fromkeys(backend_names(settings.backends or tuple(BACKENDS))))
    control = tuple(dict.fromkeys(backend_names(settings.control))) if settings.control else ()
    if not settings.batch:
        raise ValueError("batch must name at least one number of observations, got []")
    if settings.stream < 0:
        raise ValueError(f"stream must be at least 0, got {settings.stream}")
    for rate in settings.rates:
        if not 0.1 <= rate <= 1e6:
            raise ValueError(f"rates must be from 0.1 to 1000000 Hz, got {rate:g}")
    if settings.round_s > LONGEST_ROUND_S:
        raise ValueError(f"round_s must be at most {LONGEST_ROUND_S:g}, got {settings.round_s:g}")
    if not 0 < settings.control_s <= 600:
        raise ValueError(f"control_s must be above 0 and at most 600, got {settings.control_s:g}")
    requests = tuple(
        Request(batch, settings.threads, settings.isa)  # type: ignore[arg-type]
        for batch in dict.fromkeys(settings.batch)
    )
    spec = MeasureSpec(settings.rounds, settings.round_s, settings.warm_up_s)
    levels = _levels(settings.level)
    source = open_source(Path(settings.run))
    return Plan(
        settings,
        source,
        names,
        levels,
        requests,
        spec,
        tuple(name for name in control if name in names),
        _out(settings.out, source),
    )


def _levels(asked: Sequence[str]) -> tuple[What, ...]:
    for level in asked:
        if level not in LEVELS:
            raise ValueError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
    return tuple(level for level in LEVELS if level in asked) or LEVELS


def _out(asked: str | None, source: Source) -> Path:
    path = source.beside(".json") if asked is None else Path(asked)
    if path.suffix != ".json":
        raise ValueError(f"out must end in .json, got {path.name!r}")
    if not path.parent.is_dir():
        raise ValueError(f"out={path}: there is no directory {path.parent}")
    return path
