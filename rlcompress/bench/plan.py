"""What an inference benchmark's settings come to: cases, requests, backends; times nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from pathlib import Path

from rlcompress.bench.networks import NETWORKS, Case
from rlcompress.bench.settings import Settings
from rlcompress.probe.compare import backend_names
from rlcompress.probe.measure import MeasureSpec
from rlcompress.probe.registry import Request


@dataclass(frozen=True)
class Plan:
    """What will be timed: ``cases`` and ``artifacts`` under every request, then ``games``."""

    cases: tuple[Case, ...]
    artifacts: tuple[Path, ...]
    games: tuple[str, ...]
    game_case: Case
    requests: tuple[Request, ...]
    backends: tuple[str, ...]
    break_even: bool
    compact: bool
    spec: MeasureSpec
    out: Path | None


def make_plan(settings: Settings) -> Plan:
    """Check every key.

    Raises:
        ValueError: naming the key and what it may be.
    """
    from rlcompress.pruning import ALLOCATIONS

    trained = _zips(settings.agents)
    sources: dict[str, Path | None] = {**dict.fromkeys(NETWORKS), **trained}
    artifacts = tuple(Path(name) for name in settings.weights)
    for path in artifacts:
        if not path.is_file():
            raise ValueError(f"weights names a file that is not there: {path}")
    names = tuple(dict.fromkeys([*_known("network", settings.network, NETWORKS), *trained]))
    for sparsity in (*settings.sparsity, settings.game_sparsity):
        if not 0 <= sparsity < 1:
            raise ValueError(f"sparsity must be in [0, 1), got {sparsity}")
    _known("peers", [settings.peers], {"trained": "", "compact": ""})
    allocations = _known("allocation", settings.allocation, ALLOCATIONS)
    cases = [
        Case(network, sparsity, allocation, sources[network], settings.seed)
        for network, sparsity, allocation in product(names, settings.sparsity, allocations)
        # At sparsity 0 all allocations are the same.
        if sparsity > 0 or allocation == allocations[0]
    ]
    return Plan(
        cases=tuple(cases),
        artifacts=artifacts,
        games=tuple(settings.games),
        game_case=Case(
            "nature_cnn",
            settings.game_sparsity,
            allocations[0],
            sources["nature_cnn"],
            settings.seed,
        ),
        requests=tuple(
            Request(batch, 1, isa)  # type: ignore[arg-type]
            for isa, batch in product(settings.isa, settings.batch)
        ),
        backends=backend_names(settings.backends),
        break_even=settings.break_even,
        compact=settings.peers == "compact",
        spec=MeasureSpec(settings.rounds, settings.round_s, settings.warm_up_s),
        out=None if settings.out is None else Path(settings.out),
    )


def _zips(agents: str | None) -> dict[str, Path]:
    """Trained SB3 zips by name: those of a directory, or the one that is given."""
    if agents is None:
        return {}
    place = Path(agents)
    zips = [place] if place.is_file() else sorted(place.glob("*.zip"))
    if not zips:
        raise ValueError(f"agents must be an SB3 zip or a directory with some, got {agents}")
    return {path.stem: path for path in zips}


def _known(key: str, names: Sequence[str], known: Mapping[str, object]) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{key} must be one of {', '.join(known)}, got {name!r}{hint}")
    return tuple(names)
