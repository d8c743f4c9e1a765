"""One search from settings to a result: dense runs, trials, what is best; trains nothing itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from rlcompress.artifact.file import write_bytes
from rlcompress.evaluation.lossless import Comparison, compare
from rlcompress.probe.api import measure
from rlcompress.reporting.run import ARTIFACT
from rlcompress.search.hope import latest_difference
from rlcompress.search.runs import Trainer, finished
from rlcompress.search.settings import Settings, check, check_same, remember
from rlcompress.search.study import Choice, Trials
from rlcompress.training.errors import TrainingStopped
from rlcompress.training.lock import holder
from rlcompress.training.signals import StopRequest, caught_signals

RESULT = "result.json"
MOST_FAILURES = 3
"""Trials in a row that may fail before the search ends: then it is not their choices."""


def prepare(settings: Settings) -> Callable[[], None]:
    """Check the request and open the study; returns the search."""
    check(settings)
    check_same(settings)
    trials = Trials(settings)
    remember(settings)
    console = Console()

    def say(line: str) -> None:
        console.print(line, highlight=False, soft_wrap=True)

    def work() -> None:
        with caught_signals(say) as stop:
            search = Search(settings, trials, stop, say)
            search.run()
            search.show(console)

    return work


class Search:
    """A search under way: this process's part of it."""

    def __init__(
        self, settings: Settings, trials: Trials, stop: StopRequest, say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._trials = trials
        self._say = say
        self._root = Path(settings.directory).absolute()
        trunks = f"trunks={self._root / 'trunks'}"
        own = settings.train.split()
        self._trainer = Trainer((f"env={settings.env}", "extra_fraction=0.2", trunks, *own), stop)
        self._dense = [self._root / "dense" / str(seed) for seed in range(settings.seeds)]
        self._dense_returns: list[float] = []

    def run(self) -> None:
        """Train what dense runs are missing, then trials until there are enough."""
        # First what nobody is at, then what somebody was.
        for seed, run in sorted(enumerate(self._dense), key=lambda one: holder(one[1]) is not None):
            self._trainer.finish(run, [f"seed={seed}"])
        self._dense_returns = [_last(run)[0] for run in self._dense]
        self._say(f"dense: {np.mean(self._dense_returns):.1f}, {len(self._dense)} runs")
        failures = 0
        while True:
            with self._trials.claimed() as trial:
                if trial is None:
                    return
                failures = 0 if self._try(trial) else failures + 1
            if failures == MOST_FAILURES:
                raise TrainingStopped(f"{failures} trials in a row failed; see above")

    def _try(self, trial: Any) -> bool:
        choice = self._trials.choose(trial)
        path = self._root / self._trials.path(trial.number).relative_to(
            self._trials.directory.parent
        )
        named = f"trial {trial.number}: {' '.join(choice.words())}"
        try:
            returns, sizes = self._runs(trial, choice, path)
        except TrainingStopped as error:
            self._trials.fail(trial, str(error))
            self._say(f"{named}: failed: {error}")
            return False
        if len(returns) < self._settings.seeds:
            self._trials.tell(trial, None)
            self._say(f"{named}: without hope, {len(returns)} whole run{'s' * (len(returns) != 1)}")
            return True
        found = self._compare(returns)
        about = {"return": float(np.mean(returns)), "bytes": float(np.mean(sizes))}
        values = self._values(choice, found, about, path)
        notes = {**about, "difference": found.difference, "verdict": str(found)}
        self._trials.tell(trial, values, sparsity=choice.sparsity, runs=str(path), **notes)
        self._say(f"{named}: {about['return']:.1f}, {found.difference:+.1%}, {found}")
        return True

    def _runs(self, trial: Any, choice: Choice, path: Path) -> tuple[list[float], list[int]]:
        """Returns and bytes of the trial's runs; of fewer runs than seeds where it was stopped."""
        ends: list[tuple[float, int]] = []
        for seed, dense in enumerate(self._dense):
            run, seen = path / str(seed), 0

            def hopeless(run: Path = run, dense: Path = dense, seed: int = seed) -> bool:
                nonlocal seen
                found = latest_difference(run, [dense])
                if found is None or found[0] <= seen:
                    return False
                seen = found[0]
                return self._trials.hopeless(trial, found[1], seed * 10**9 + seen)

            words = [f"seed={seed}", *choice.words()]
            if not self._trainer.finish(run, words, hopeless):
                break
            ends.append(_last(run))
        return [value for value, _ in ends], [size for _, size in ends]

    def _compare(self, returns: list[float]) -> Comparison:
        env, margin = self._settings.env, self._settings.margin
        return compare({env: returns}, {env: self._dense_returns}, margin=margin, twins=[env])

    def _values(
        self, choice: Choice, found: Comparison, about: dict[str, float], path: Path
    ) -> tuple[float, ...]:
        if self._settings.objective == "front":
            latency = measure(path / "0" / ARTIFACT, ("engine",)).measured["engine"].p50_us
            about["latency_us"] = latency
            return about["return"], about["bytes"], latency
        return (sparsity_if_kept(choice.sparsity, found),)

    def show(self, console: Console) -> None:
        """Print what is best, and write it down."""
        best = self._trials.best()
        if self._settings.objective == "sparsest":
            best = [trial for trial in best if trial.value > 0]
        rows = [{"trial": trial.number, **trial.params, **trial.user_attrs} for trial in best]
        states = [trial.state.name.lower() for trial in self._trials.ended()]
        counts = {name: states.count(name) for name in ("complete", "pruned", "fail")}
        content = {"dense": self._dense_returns, "trials": counts, "best": rows}
        write_bytes(self._root / RESULT, (json.dumps(content, indent=2) + "\n").encode())
        ends = ", ".join(f"{number} {name}" for name, number in counts.items())
        self._say(f"{len(states)} trials ({ends}); {self._root / RESULT}")
        if not rows:
            self._say("no trial kept its return within the margin")
            return
        if not any(row["verdict"] == "lossless" for row in rows):
            self._say("kept within the margin by the means; that nothing is lost is not shown:")
        columns = [name for name in rows[0] if name not in ("kept", "runs", "reason")]
        table = Table(*columns, box=None)
        for row in rows:
            table.add_row(*(_short(row.get(name)) for name in columns))
        console.print(table)


def sparsity_if_kept(sparsity: float, found: Comparison) -> float:
    """A trial's value: its sparsity where nothing is lost, else minus what is lost too much.

    By the interval's lower bound where there are runs enough for one, else by the difference.
    """
    bound = found.difference if found.interval is None else found.interval.low
    above = bound + found.margin
    return sparsity if above > 0 else max(above, -1.0)


def _last(run: Path) -> tuple[float, int]:
    """Return and bytes of the last artifact of a finished run."""
    found = finished(run).result(".rlc")
    if found is None:
        raise TrainingStopped(f"{run} ended without an artifact")
    return found.return_mean, found.size_bytes


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
