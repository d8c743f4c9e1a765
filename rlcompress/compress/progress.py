"""Shows where a compression stands: a bar on a terminal, lines elsewhere, curves in TensorBoard."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from stable_baselines3.common.logger import Logger

from rlcompress.compress.lesson import Lesson
from rlcompress.training.progress import LINE_EVERY_S


class Bar:
    """The steps of one lesson after the other."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._shown_at = time.monotonic()

    def show(self, name: str, lesson: Lesson) -> None:
        """Show how far ``lesson`` is."""
        status = (
            f"{lesson.course.phase(lesson.step)}, sparsity {lesson.student.masks.sparsity:.3f}, "
            f"loss {lesson.loss:.2g}, {len(lesson.recorded):,} observations"
        )
        if self._console.is_terminal:
            bar = self._open()
            bar.update(
                bar.task_ids[0],
                description=name,
                completed=lesson.step,
                total=lesson.course.steps,
                status=status,
            )
            return
        now = time.monotonic()
        if now - self._shown_at >= LINE_EVERY_S:
            self._shown_at = now
            line = f"{name}: {lesson.step}/{lesson.course.steps} {status}"
            self._console.print(line, highlight=False, soft_wrap=True)

    def pause(self) -> None:
        """Leave the terminal to a line of text."""
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _open(self) -> Progress:
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} {task.fields[status]}"),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.add_task("", total=1, status="")
            self._bar.start()
        return self._bar


def record(logger: Logger, lesson: Lesson, clock: int) -> None:
    """Write where a lesson stands to TensorBoard, after ``clock`` gradient steps in all."""
    masks = lesson.student.masks
    logger.record("distill/loss", lesson.loss)
    logger.record("distill/action_error", lesson.error)
    logger.record("distill/observations", len(lesson.recorded))
    logger.record("distill/learning_rate", lesson.course.rate(lesson.step))
    logger.record("pruning/sparsity", masks.sparsity)
    for name, mask in masks.masks.items():
        logger.record(f"pruning_layers/{name}", 1.0 - masks.kept[name] / mask.numel())
    logger.dump(clock)
