"""Shows where a run stands: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from stable_baselines3.common.callbacks import BaseCallback

from rlcompress.training.evaluation import Evaluator

LINE_EVERY_S = 30.0
REFRESH_EVERY_S = 0.2


class ProgressCallback(BaseCallback):
    """Phase, steps per second, time left, sparsity and the last return of a run."""

    def __init__(
        self, evaluator: Evaluator, sparsity: Callable[[], float], console: Console
    ) -> None:
        super().__init__()
        self._evaluator = evaluator
        self._sparsity = sparsity
        self._console = console
        self._bar: Progress | None = None
        self._shown_at = self._started_at = time.monotonic()
        self._first_step = 0

    def _on_training_start(self) -> None:
        self._started_at = time.monotonic()
        self._first_step = self.num_timesteps
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description:<10}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} {task.fields[status]}"),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._bar.add_task("", total=self._evaluator.timeline.length, status="")
            self._bar.start()

    def _on_step(self) -> bool:
        now = time.monotonic()
        if now - self._shown_at >= (REFRESH_EVERY_S if self._bar else LINE_EVERY_S):
            self._shown_at = now
            self._show(now)
        return True

    def _on_training_end(self) -> None:
        self._show(time.monotonic())
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was, also where training stopped early."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _show(self, now: float) -> None:
        step, timeline = self.num_timesteps, self._evaluator.timeline
        rate = (step - self._first_step) / max(now - self._started_at, 1e-9)
        phase = self._evaluator.phase(step)
        status = f"{rate:.0f} steps/s, sparsity {self._sparsity():.3f}"
        last = self._evaluator.history.last_return
        if last is not None:
            status += f", return {last:.1f}"
        if self._bar is not None:
            task = self._bar.task_ids[0]
            self._bar.update(task, completed=step, description=phase, status=status)
        else:
            left = (timeline.length - step) / max(rate, 1e-9)
            self._console.print(
                f"{phase:<10} {step}/{timeline.length} {status}, {left:.0f} s left", highlight=False
            )
