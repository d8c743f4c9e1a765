"""Decides whether a backend computes the right thing; measures no time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlcompress.artifact import Action, AnyArray, Golden
from rlcompress.probe.registry import Backend, Request, Runner, Timed, What
from rlcompress.probe.subject import Subject


class WrongResult(RuntimeError):
    """A backend's actions are not the policy's."""


def check(
    runner: Runner,
    backend: Backend,
    subject: Subject,
    request: Request,
    levels: Sequence[What] = (),
) -> float:
    """Largest error of ``runner`` on the golden observations, relative to the range of actions.

    It is looked at in the way in which it is timed: at the backend's own level, and at those of
    ``levels`` that are timed by calling it.

    Raises:
        WrongResult: where it is above the backend's tolerance.
    """
    worst = 0.0
    for level in dict.fromkeys((backend.what, *levels)):
        timed = runner.at(level, backend.what)
        if timed is not None and timed.timer is None:
            worst = max(worst, _worst(timed, runner.single, backend, subject, request))
    if not worst <= backend.tolerance:
        raise WrongResult(
            f"actions are off by {worst:.3g} of their range, allowed is {backend.tolerance:g}"
        )
    return worst


def _worst(
    timed: Timed, single: bool, backend: Backend, subject: Subject, request: Request
) -> float:
    golden = subject.golden(backend.form)
    worst = 0.0
    for rows in batches(len(golden.observations), request.batch):
        argument = argument_of(timed, golden.observations[rows], single=single)
        given = np.asarray(timed.actions(argument, timed.call(argument)))
        expected = golden.actions[rows]
        if given.size != expected.size:
            raise WrongResult(f"gives actions of shape {given.shape}, not {expected.shape}")
        given = given.reshape(expected.shape)
        error = _error(subject.policy.action, given, golden, rows)
        worst = max(worst, error) if error == error else float("inf")
    return worst


def batches(count: int, batch: int) -> list[AnyArray]:
    """Row numbers of batches that hold each of ``count`` rows; the last one starts over."""
    numbers = np.arange(-(-count // batch) * batch) % count
    return list(numbers.reshape(-1, batch))


def argument_of(timed: Timed, observations: AnyArray, *, single: bool) -> object:
    """The argument for a batch, or for its only observation where ``single`` ones are taken."""
    return timed.prepare(np.ascontiguousarray(observations[0] if single else observations))


def _error(action: Action, given: AnyArray, golden: Golden, rows: AnyArray) -> float:
    if action.kind == "argmax":
        return _regret(action, given, golden, rows)
    difference = np.abs(np.asarray(given, np.float64) - golden.actions[rows])
    error = np.max(difference) / _range(action, golden)
    return float(error) if np.isfinite(error) else float("inf")


def _regret(action: Action, given: AnyArray, golden: Golden, rows: AnyArray) -> float:
    """How much worse the chosen actions' values are than the best."""
    values = golden.outputs.reshape(len(golden.outputs), action.quantiles, -1).sum(axis=1)
    chosen = given.astype(np.int64).reshape(-1) - action.start
    if chosen.min() < 0 or chosen.max() >= values.shape[1]:
        return float("inf")
    regret = values[rows].max(axis=1) - values[rows, chosen]
    return float(np.max(regret) / max(float(np.ptp(values)), 1e-12))


def _range(action: Action, golden: Golden) -> float:
    if action.low is not None and action.high is not None:
        widest = float(np.max(np.asarray(action.high, np.float64) - action.low))
        if np.isfinite(widest):
            return widest
    return max(float(np.ptp(golden.actions)), 1e-12)
