"""What the user asks for: frozen, validated requests; knows nothing of torch, SB3 or files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Granularity = Literal["per_tensor", "per_channel"]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True)
class PolynomialSchedule:
    """Gradual sparsity schedule of Zhu & Gupta (2017), equation 1.

    ``begin`` and ``end`` are fractions of ``total_timesteps`` (T), never of the longer run that
    includes fine-tuning. ``updates`` masks are taken, evenly spaced; the last one, at ``end``
    itself, reaches the final sparsity exactly. ``power`` 3 is the paper's cubic schedule.
    """

    begin: float = 0.2
    end: float = 0.8
    updates: int = 600
    power: float = 3.0
    initial: float = 0.0

    def __post_init__(self) -> None:
        _require(
            0.0 <= self.begin < self.end <= 1.0,
            f"schedule needs 0 <= begin < end <= 1, got begin={self.begin}, end={self.end}",
        )
        _require(self.updates >= 1, f"schedule updates must be at least 1, got {self.updates}")
        _require(self.power > 0, f"schedule power must be positive, got {self.power}")
        _require(
            0.0 <= self.initial < 1.0, f"initial sparsity must be in [0, 1), got {self.initial}"
        )

    def sparsity_at(self, progress: float, final: float) -> float:
        """Sparsity asked for at ``progress`` (a fraction of T) on the way to ``final``.

        s(t) = s_f + (s_i - s_f) (1 - (t - t0) / (t1 - t0))^power, constant outside [t0, t1].
        """
        if progress >= self.end:
            return final
        if progress <= self.begin:
            return self.initial
        remaining = 1.0 - (progress - self.begin) / (self.end - self.begin)
        return float(final + (self.initial - final) * remaining**self.power)

    def window(self, total_timesteps: int) -> tuple[int, int]:
        """First and last step of pruning for a run of ``total_timesteps``."""
        return round(self.begin * total_timesteps), round(self.end * total_timesteps)

    def updates_due(self, num_timesteps: int, total_timesteps: int) -> int:
        """How many of the ``updates`` mask updates are due after ``num_timesteps`` steps.

        Update k is due at t0 + k (t1 - t0) / updates, so a clock that jumps (several environments)
        never misses one and the last is due exactly at t1.
        """
        start, stop = self.window(total_timesteps)
        if num_timesteps >= stop:
            return self.updates
        if num_timesteps <= start:
            return 0
        return (num_timesteps - start) * self.updates // (stop - start)

    def progress_of(self, update: int) -> float:
        """Fraction of T at which update number ``update`` (1-based; 0 is the start) is due."""
        if update >= self.updates:
            return self.end
        return self.begin + (self.end - self.begin) * update / self.updates

    def check_length(self, total_timesteps: int) -> None:
        """Raise ValueError where a run of ``total_timesteps`` is too short for the schedule."""
        fitting = self.smallest_total(total_timesteps)
        _require(
            total_timesteps == fitting,
            f"total_timesteps={total_timesteps} is too short for {self.updates} mask updates "
            f"between {self.begin:g} T and {self.end:g} T; the smallest T from there on is "
            f"{fitting} (or ask for fewer: pruning.updates)",
        )

    def smallest_total(self, at_least: int = 1) -> int:
        """The smallest such T in which every update falls on a step of its own."""
        # Rounding makes a window at most one step wider than its fractions.
        total = max(at_least, int((self.updates - 1) / (self.end - self.begin)))
        while self.window(total)[1] - self.window(total)[0] < self.updates:
            total += 1
        return total


@dataclass(frozen=True)
class PruneSpec:
    """What to prune: the final ``sparsity`` (fraction of zeros) and how to get there.

    ``criterion`` and ``allocation`` are registry names (see ``rlcompress.pruning``). ``skip`` lists
    layer names (as in ``named_modules``) to leave dense and out of the count. ``prune_unused``
    includes weights that deterministic inference never reads (SAC's ``log_std``) in the count.
    """

    sparsity: float
    schedule: PolynomialSchedule = field(default_factory=PolynomialSchedule)
    criterion: str = "magnitude"
    allocation: str = "erdos_renyi"
    skip: tuple[str, ...] = ()
    prune_unused: bool = False

    def __post_init__(self) -> None:
        _require(0.0 <= self.sparsity < 1.0, f"sparsity must be in [0, 1), got {self.sparsity}")


@dataclass(frozen=True)
class QuantSpec:
    """What to quantise: symmetric integers of ``weight_bits`` and ``activation_bits`` (2 to 8).

    ``activation_bits`` None keeps activations in float32 (the paper's weight-only setting).
    ``dense`` and ``conv`` say whether a layer has one scale or one per output channel. ``skip``
    lists layer names that stay in float32.
    """

    weight_bits: int = 8
    activation_bits: int | None = 8
    dense: Granularity = "per_tensor"
    conv: Granularity = "per_channel"
    skip: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(2 <= self.weight_bits <= 8, f"weight_bits must be in 2..8, got {self.weight_bits}")
        _require(
            self.activation_bits is None or 2 <= self.activation_bits <= 8,
            f"activation_bits must be in 2..8 or None, got {self.activation_bits}",
        )
        for name in ("dense", "conv"):
            value = getattr(self, name)
            _require(
                value in ("per_tensor", "per_channel"),
                f"{name} must be 'per_tensor' or 'per_channel', got {value!r}",
            )
