"""When a run is dense, pruning, pruned or quantised; counts steps and does nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Phase = Literal["dense", "pruning", "pruned", "quantised"]

COMPARABLE: tuple[Phase, ...] = ("dense", "pruned", "quantised")
"""Phases within which checkpoints may be compared; while pruning, earlier is simply denser."""


@dataclass(frozen=True)
class Timeline:
    """The phases of one run, in environment steps.

    ``pruning`` is the first and last step of the schedule (None: nothing is pruned),
    ``quantise_after`` the last step before quantisation-aware training (None: there is none).
    ``length`` is the whole run, T and the extra steps. ``branch_after`` is where runs with and
    without quantisation part: an end of a phase for both.
    """

    length: int
    pruning: tuple[int, int] | None = None
    quantise_after: int | None = None
    branch_after: int | None = None

    def phase(self, step: int, *, quantised: bool) -> Phase:
        """Phase of a policy trained for ``step`` steps.

        Whether it is quantised has to be said: that begins with the first rollout after
        ``quantise_after``, which for on-policy algorithms may be much later.
        """
        if quantised:
            return "quantised"
        if self.pruning is None or step <= self.pruning[0]:
            return "dense"
        return "pruning" if step < self.pruning[1] else "pruned"

    def phases(self) -> tuple[Phase, ...]:
        """The comparable phases that this run goes through, in order."""
        found: list[Phase] = []
        if self.pruning is None or self.pruning[0] > 0:
            found.append("dense")
        if self.pruning is not None:
            found.append("pruned")
        if self.quantise_after is not None:
            found.append("quantised")
        return tuple(found)

    def ends(self) -> tuple[int, ...]:
        """Last steps of the comparable phases before the final one, in order."""
        steps = [] if self.pruning is None else [self.pruning[0]]
        steps += sorted({s for s in (self.quantise_after, self.branch_after) if s is not None})
        return tuple(step for step in steps if 0 < step < self.length)

    def phase_end(self, step: int, stride: int) -> int | None:
        """The end of a phase that the next ``stride`` steps would pass, None where there is none.

        With several environments a step count may jump over an end; the policy at the last count
        that does not exceed it is the last of its phase.
        """
        for end in self.ends():
            if step <= end < step + stride:
                return end
        return None
