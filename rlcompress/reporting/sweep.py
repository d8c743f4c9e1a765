"""Groups runs into conditions, and conditions into what statistics and figures take.

Knows what may be compared with what (same environment, same checkpoint, equal length); computes no
statistic of its own and draws nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from rlcompress.evaluation.curves import Curve, curve_of_episodes
from rlcompress.evaluation.lossless import normalised
from rlcompress.evaluation.resampling import Bootstrap, FloatArray
from rlcompress.evaluation.statistics import Scores
from rlcompress.reporting.run import Run
from rlcompress.reporting.settings import is_compression, varying

CHECKPOINTS = ("last", "best")
CURVE_RUNS = 1000
"""Most runs whose evaluations are read for learning curves; of more, evenly few per condition."""

LONGEST_NAME = 32
"""Letters of settings that a condition is named after; longer ones get a number and a list."""

WEIGHTS_ONLY = "weights only"
_IN_WORDS = {
    "variant=none": "",
    "variant=int8": "",
    "variant=ptq": "",
    "variant=weights": WEIGHTS_ONLY,
}
"""Settings as a condition names them; "" where sparsity and kind say it: 8 bits are the usual."""


Setup = tuple[object, ...]
"""How a run trains, compression and length apart: algorithm and settings that not all share."""

_WORDS = {"quantised": ["quantised"], "ptq": ["quantised afterwards"], "binary": ["binary"]}


@dataclass(frozen=True, order=True)
class Condition:
    """What runs that are repeated over seeds have in common, the environment apart.

    ``extra`` is what else the runs of one environment differ in ("allocation=global").
    """

    sparsity: float
    final: str
    extra: str = ""

    @property
    def kind(self) -> str:
        """dense, pruned, quantised or binary."""
        return "quantised" if self.final == "ptq" else self.final

    @property
    def label(self) -> str:
        """As figures and tables name it."""
        words = [f"{self.sparsity:g}"] if self.sparsity else []
        words += _WORDS.get(self.final, [])
        return ", ".join([*(words or ["dense"]), *([self.extra] if self.extra else [])])


@dataclass(frozen=True)
class Sweep:
    """Finished runs, by environment and condition; ``how`` their intervals are made."""

    runs: tuple[Run, ...]
    how: Bootstrap = field(default_factory=Bootstrap)

    @property
    def confidence(self) -> str:
        """The level of all intervals, in words."""
        return f"{100 * self.how.level:.3g} %"

    @cached_property
    def environments(self) -> tuple[str, ...]:
        """Environments, sorted."""
        return tuple(sorted({run.env for run in self.runs}))

    @cached_property
    def groups(self) -> Mapping[tuple[str, Condition], tuple[Run, ...]]:
        """Runs of each environment and condition, by seed."""
        found: dict[tuple[str, Condition], list[Run]] = defaultdict(list)
        names = {text: name for name, text in self.settings.items()}
        for run in self.runs:
            text = self._extras[run.path]
            condition = Condition(run.sparsity, run.final, names.get(text, text))
            found[run.env, condition].append(run)
        return {key: tuple(sorted(runs, key=lambda r: r.seed)) for key, runs in found.items()}

    @cached_property
    def settings(self) -> dict[str, str]:
        """What numbers stand for, where the settings that tell conditions apart are many."""
        texts = sorted({text for text in self._extras.values() if len(text) > LONGEST_NAME})
        return {f"settings {number}": text for number, text in enumerate(texts, 1)}

    @cached_property
    def _extras(self) -> dict[Path, str]:
        """What else each run's environment has runs of, in words; trainers share no keys."""
        found = {}
        for runs, keys in self._trained:
            for run in runs:
                words = [f"{k}={run.overrides[k]}" for k in keys if k in run.overrides]
                said = (_IN_WORDS.get(word, word) for word in words)
                found[run.path] = ", ".join(word for word in said if word)
        return found

    @cached_property
    def _setups(self) -> dict[Path, Setup]:
        """How each run trains, compression and length apart."""
        found: dict[Path, Setup] = {}
        for runs, keys in self._trained:
            shared = [key for key in keys if not is_compression(key)]
            for run in runs:
                settings = (f"{key}={run.overrides.get(key, '')}" for key in shared)
                found[run.path] = (run.algo, *settings)
        return found

    @cached_property
    def _trained(self) -> list[tuple[list[Run], list[str]]]:
        """Runs of one environment and trainer, with the settings in which they differ."""
        found: dict[tuple[str, bool], list[Run]] = defaultdict(list)
        for run in self.runs:
            found[run.env, run.final == "binary"].append(run)
        return [(runs, varying(runs)) for runs in found.values()]

    @cached_property
    def _unpruned(self) -> Mapping[tuple[str, Setup], list[Run]]:
        found: dict[tuple[str, Setup], list[Run]] = defaultdict(list)
        for run in self.runs:
            if run.sparsity == 0 and run.final != "binary":
                found[run.env, self._setups[run.path]].append(run)
        return found

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """All conditions of all environments, dense first, then by sparsity."""
        return tuple(sorted({condition for _, condition in self.groups}))

    @cached_property
    def sparsities(self) -> tuple[float, ...]:
        """Final sparsities above zero, ascending."""
        return tuple(sorted({run.sparsity for run in self.runs if run.sparsity > 0}))

    def rank(self, sparsity: float) -> int:
        """Position of a sparsity among those of the sweep, for its shade."""
        return self.sparsities.index(sparsity) if sparsity else 0

    def of(self, env: str) -> dict[Condition, tuple[Run, ...]]:
        """Conditions of one environment with their runs."""
        return {c: self.groups[env, c] for c in self.conditions if (env, c) in self.groups}

    def scores(
        self, condition: Condition, checkpoint: str = "last", envs: Iterable[str] | None = None
    ) -> dict[str, FloatArray]:
        """Final return of each run of a condition, per environment."""
        found = {}
        for env in self.environments if envs is None else envs:
            values = returns(self.groups.get((env, condition), ()), checkpoint)
            if values.size:
                found[env] = values
        return found

    def dense(
        self,
        checkpoint: str = "last",
        like: Condition | None = None,
        envs: Iterable[str] | None = None,
    ) -> dict[str, FloatArray]:
        """Return of dense runs per environment, what everything else is measured by.

        They train as the runs of the condition ``like`` do, compression apart; None: as all runs of
        the environment do, which is left out where these differ. Runs of the same length where
        there are some, else of the same T; dense to the end where there are some, else what
        quantised runs of sparsity 0 were before quantisation.
        """
        results = {
            env: self._dense_results(env, checkpoint, like)
            for env in (self.environments if envs is None else envs)
        }
        return {env: _values(found) for env, found in results.items() if found}

    def measure(
        self,
        condition: Condition,
        checkpoint: str = "last",
        envs: Iterable[str] | None = None,
    ) -> dict[str, FloatArray]:
        """What a condition's runs are compared with: ``dense``, where its mean is not 0."""
        dense = self.dense(checkpoint, condition, envs)
        return {env: values for env, values in dense.items() if np.mean(values) != 0}

    def normalised(self, condition: Condition) -> dict[str, FloatArray]:
        """Last ``scores`` as parts of the mean of ``measure``."""
        return as_parts(self.scores(condition), self.measure(condition))

    def twins(
        self,
        condition: Condition,
        checkpoint: str = "last",
        envs: Iterable[str] | None = None,
    ) -> frozenset[str]:
        """Environments in which the runs of a condition and the dense ones have the same seeds.

        Runs of one seed that train alike are the same run until they part.
        """
        found = set()
        for env in self.environments if envs is None else envs:
            ours = results(self.groups.get((env, condition), ()), checkpoint)
            theirs = self._dense_results(env, checkpoint, condition)
            seeds = [seed for seed, _ in ours]
            if seeds == [seed for seed, _ in theirs] and len(set(seeds)) == len(seeds):
                found.add(env)
        return frozenset(found)

    def _dense_results(
        self, env: str, checkpoint: str, like: Condition | None
    ) -> list[tuple[int, float]]:
        runs = self._dense_runs(env, like)
        to_the_end = results([run for run in runs if run.final == "dense"], checkpoint)
        return to_the_end or results(runs, checkpoint, "dense")

    def _dense_runs(self, env: str, like: Condition | None) -> list[Run]:
        if like is None:
            runs = [run for run in self.runs if run.env == env and run.final != "binary"]
        else:
            runs = list(self.groups.get((env, like), ()))
        setups = {self._setups[run.path] for run in runs}
        lengths = {run.length for run in runs}
        totals = {run.total_timesteps for run in runs}
        if len(setups) != 1 or min(len(lengths), len(totals)) > 1:
            return []
        found = self._unpruned.get((env, setups.pop()), [])
        twins = [run for run in found if run.final == "dense" and run.length == max(lengths)]
        return twins or [run for run in found if run.total_timesteps in totals]

    @property
    def curves_each(self) -> int:
        """Most runs of a condition whose curves are read."""
        return max(1, CURVE_RUNS // len(self.groups))

    def curves(self, env: str) -> dict[Condition, list[Curve]]:
        """Evaluations over training of each run of an environment, as far as they are read."""
        return {
            condition: [
                curve
                for run in spread(runs, self.curves_each)
                if (curve := curve_of_episodes(run.evaluations())) is not None
            ]
            for condition, runs in self.of(env).items()
        }


def results(
    runs: Iterable[Run], checkpoint: str = "last", variant: str | None = None
) -> list[tuple[int, float]]:
    """Seed and mean final return of each run that has the row, by seed.

    Of its final variant if none is named.
    """
    rows = ((run.seed, run.result(variant or run.final, checkpoint)) for run in runs)
    return sorted((seed, row.return_mean) for seed, row in rows if row is not None)


def returns(
    runs: Iterable[Run], checkpoint: str = "last", variant: str | None = None
) -> FloatArray:
    """The returns of ``results``."""
    return _values(results(runs, checkpoint, variant))


def _values(results: Iterable[tuple[int, float]]) -> FloatArray:
    return np.array([value for _, value in results])


def as_parts(scores: Scores, dense: Scores) -> dict[str, FloatArray]:
    """Scores as parts of the mean of the dense runs, where there are some."""
    return normalised(scores, {env: float(np.mean(runs)) for env, runs in dense.items()})


def spread(runs: Sequence[Run], most: int) -> Sequence[Run]:
    """At most so many of the runs, evenly."""
    if len(runs) <= most:
        return runs
    return [runs[round(i)] for i in np.linspace(0, len(runs) - 1, most)]
