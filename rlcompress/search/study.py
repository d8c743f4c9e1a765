"""The study in the search's directory: which trials there are, whose turn it is, how they ended.

The only module that knows Optuna. Several processes may work on one study: a trial belongs to who
holds the lock of its directory, and one whose owner died is taken up again with the same choices.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlcompress.search.settings import DIGITS, Settings
from rlcompress.training.errors import HeldElsewhere
from rlcompress.training.lock import locked

STUDY = "study.log"
DIRECTIONS = {"sparsest": ("maximize",), "front": ("maximize", "minimize", "minimize")}


def optuna() -> Any:
    """The package, or an error that says how to get it."""
    try:
        import optuna as found
    except ImportError:
        raise ValueError(
            "a search needs optuna, which is not installed: pip install 'rlcompress[search]'"
        ) from None
    found.logging.set_verbosity(found.logging.WARNING)
    return found


@dataclass(frozen=True)
class Choice:
    """What a trial tries."""

    sparsity: float
    allocation: str
    variant: str

    def words(self) -> list[str]:
        """As overrides of a run."""
        return [
            f"sparsity={self.sparsity:g}",
            f"allocation={self.allocation}",
            f"variant={self.variant}",
        ]


class Trials:
    """The trials of one search, by number; ``directory`` holds a folder for each."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.directory = Path(settings.directory) / "trials"
        self._optuna = found = optuna()
        self.directory.mkdir(parents=True, exist_ok=True)
        path = str(Path(settings.directory) / STUDY)
        backend = found.storages.journal.JournalFileBackend(path)
        lower = settings.hopeless
        if lower is not None:
            # One seed must lose the margin of all of them by itself, or there is hope yet.
            lower = min(lower, -settings.margin * settings.seeds)
        self._study = found.create_study(
            storage=found.storages.JournalStorage(backend),
            study_name=settings.objective,
            directions=list(DIRECTIONS[settings.objective]),
            pruner=found.pruners.ThresholdPruner(lower=lower) if lower is not None else None,
            load_if_exists=True,
        )

    @contextlib.contextmanager
    def claimed(self) -> Iterator[Any]:
        """An abandoned or a new trial, ours for the time of the block; None at the end."""
        with contextlib.ExitStack() as stack:
            yield self._claim(stack)

    def _claim(self, stack: contextlib.ExitStack) -> Any:
        while True:
            # One process at a time, or together they would begin more trials than are asked for.
            with contextlib.suppress(HeldElsewhere), locked(self.directory):
                return self._next(stack)

    def _next(self, stack: contextlib.ExitStack) -> Any:
        begun = self._study.get_trials(deepcopy=False)
        for trial in begun:
            if not trial.state.is_finished() and self._hold(trial.number, stack):
                # Its owner may have finished it in the meantime.
                found = self._study.get_trials(deepcopy=False)[trial.number]
                if not found.state.is_finished():
                    self._seed(trial.number)
                    return self._optuna.trial.Trial(self._study, found._trial_id)
                stack.close()
        if len(begun) >= self._settings.trials:
            return None
        self._seed(len(begun))
        trial = self._study.ask()
        self._hold(trial.number, stack)
        return trial

    def _seed(self, number: int) -> None:
        """A sampler for one trial: a process that began afresh would try what others have tried."""
        mixed = np.random.SeedSequence([self._settings.sampler_seed, number]).generate_state(1)
        self._study.sampler = self._optuna.samplers.TPESampler(
            seed=int(mixed[0]), constant_liar=True
        )

    def _hold(self, number: int, stack: contextlib.ExitStack) -> bool:
        path = self.path(number)
        path.mkdir(exist_ok=True)
        try:
            stack.enter_context(locked(path))
        except HeldElsewhere:
            return False
        return True

    def path(self, number: int) -> Path:
        """Where a trial's runs lie."""
        return self.directory / f"{number:04d}"

    def choose(self, trial: Any) -> Choice:
        """What the trial tries; the same again for one that is taken up again."""
        settings = self._settings
        # Half of what is kept is a step of one size, whatever is kept.
        kept = trial.suggest_float("kept", 1 - settings.highest, 1 - settings.lowest, log=True)
        allocation = trial.suggest_categorical("allocation", list(settings.allocations))
        variant = trial.suggest_categorical("variant", list(settings.variants))
        return Choice(round(1 - kept, DIGITS), allocation, variant)

    def hopeless(self, trial: Any, value: float, step: int) -> bool:
        """Whether the trial should end here; remembers the value that says so."""
        if self._settings.hopeless is None:
            return False
        trial.report(value, step)
        return bool(trial.should_prune())

    def tell(self, trial: Any, values: Sequence[float] | None, **notes: Any) -> None:
        """End a trial; None: it was stopped early. ``notes`` are kept with it."""
        for name, value in notes.items():
            trial.set_user_attr(name, value)
        state = self._optuna.trial.TrialState
        self._study.tell(
            trial,
            None if values is None else list(values),
            state=state.PRUNED if values is None else state.COMPLETE,
        )

    def fail(self, trial: Any, reason: str) -> None:
        """End a trial of which a run failed."""
        trial.set_user_attr("reason", reason)
        self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)

    def ended(self) -> list[Any]:
        """All finished trials as they are, by number (values, params, user_attrs, state)."""
        found = self._study.get_trials(deepcopy=False)
        return [trial for trial in found if trial.state.is_finished()]

    def best(self) -> list[Any]:
        """The best trial, or those that none beats; [] where no trial came to its end."""
        if not any(trial.state.name == "COMPLETE" for trial in self.ended()):
            return []
        return list(self._study.best_trials)
