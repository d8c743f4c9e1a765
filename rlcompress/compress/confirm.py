"""Which attempt a run ends with: a search's has to hold in more episodes first; trains nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlcompress.artifact import CompressedPolicy
from rlcompress.compress.judge import Judge
from rlcompress.compress.outcome import Outcome, Paired, chosen, sparsest_first
from rlcompress.compress.session import Session

CONFIRMING_SEEDS = 250_000
"""Their distance from those of checks, and from those of the final episodes."""


def decided(session: Session) -> Outcome:
    """The attempt that the run ends with.

    A search tries many students in few episodes, and the sparsest that held may have been lucky.
    So it plays as many episodes as the final ones are, on seeds that chose nothing yet.
    """
    wish, judge = session.plan.wish, session.judge
    promising = sparsest_first(wish, session.outcomes) if wish.sparsity is None else []
    if judge is None or not promising:
        return chosen(wish, session.outcomes)
    return first_that_holds(promising, wish.tolerance, lambda found: _play(session, judge, found))


def first_that_holds(
    promising: Sequence[Outcome], tolerance: float, play: Callable[[Outcome], Paired]
) -> Outcome:
    """The first that loses no more than the tolerance; where none does, what loses least."""
    losses = []
    for found in promising:
        losses.append(play(found).loss)
        if losses[-1] <= tolerance:
            return found
    return promising[losses.index(min(losses))]


def _play(session: Session, judge: Judge, found: Outcome) -> Paired:
    paired = judge.compare(
        CompressedPolicy.load(session.saved(found.number, ".rlc")),
        session.plan.settings.final_episodes,
        offset=CONFIRMING_SEEDS,
        variant="confirmation",
        step=session.clock,
    )
    session.say(
        f"sparsity {found.sparsity:g} in {len(paired.teacher)} more episodes: return "
        f"{paired.student_mean:.1f} against {paired.teacher_mean:.1f} ({-100 * paired.loss:+.1f} %)"
    )
    return paired
