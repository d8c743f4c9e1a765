"""Runs of training in processes of their own: started, resumed, watched, stopped.

Result files are all that comes back. A run that somebody else holds is waited for.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlcompress.reporting.inputs import read_runs
from rlcompress.reporting.run import Run
from rlcompress.training.directory import SUMMARY
from rlcompress.training.errors import HeldElsewhere, TrainingStopped
from rlcompress.training.lock import holder
from rlcompress.training.signals import StopRequest

POLL_S = 0.25
LOG = "log.txt"


@dataclass(frozen=True)
class Trainer:
    """Trains runs one after another; ``words`` go to all of them."""

    words: tuple[str, ...]
    stop: StopRequest

    def finish(
        self, run: Path, words: Sequence[str], hopeless: Callable[[], bool] = lambda: False
    ) -> bool:
        """Train ``run`` to its end, from where it is; False where ``hopeless`` ended it before.

        Raises:
            TrainingStopped: the run failed.
        """
        while not (run / SUMMARY).exists():
            if holder(run) is not None:
                self._pause(None)
            elif not self._train(run, words, hopeless):
                return False
        return True

    def _train(self, run: Path, words: Sequence[str], hopeless: Callable[[], bool]) -> bool:
        begun = (run / ".hydra" / "config.yaml").is_file()
        own = ["resume=true"] if begun else [*self.words, *words]
        command = [sys.executable, "-m", "rlcompress.train", f"hydra.run.dir={run}", *own]
        run.mkdir(parents=True, exist_ok=True)
        with (run / LOG).open("ab") as log:
            # A session of its own: Ctrl-C comes from here, once, so that the run saves itself.
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            while process.poll() is None:
                self._pause(process)
                if hopeless():
                    return False
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        # What a killed search left running may have the run, or may have ended it just now.
        failed = process.returncode not in (0, HeldElsewhere.code) and holder(run) is None
        if failed and not (run / SUMMARY).exists():
            raise TrainingStopped(
                f"{run} failed: {_last_line(run / LOG)}; all of it in {run / LOG}"
            )
        return True

    def _pause(self, process: subprocess.Popen[bytes] | None) -> None:
        """Wait a little, or until the process ends; stop where that was asked."""
        if self.stop.number is not None:
            if process is not None:
                process.terminate()
                process.wait()
            self.stop.stop("stopped; the same command goes on")
        if process is None:
            time.sleep(POLL_S)
            return
        try:
            process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            return


def finished(run: Path) -> Run:
    """What a finished run ended with.

    Raises:
        TrainingStopped: it cannot be used (a return that is no number, a damaged file).
    """
    found = read_runs(str(run))
    if not found.runs:
        raise TrainingStopped(f"{run}: {found.skipped[0].reason}")
    return found.runs[0]


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
