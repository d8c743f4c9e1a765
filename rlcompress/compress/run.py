"""One compression from a request to a directory full of results; decides nothing itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from rlcompress.compress.finetune import finetune
from rlcompress.compress.finish import conclude
from rlcompress.compress.journal import CompressDirectory
from rlcompress.compress.oneshot import one_shot
from rlcompress.compress.plan import Plan, make_plan, set_threads
from rlcompress.compress.session import Session
from rlcompress.compress.settings import Settings
from rlcompress.training.directory import RunDirectory
from rlcompress.training.faults import explained
from rlcompress.training.lock import check_unlocked, locked
from rlcompress.training.signals import caught_signals
from rlcompress.training.store import Store


def prepare(
    settings: Settings, path: Path, command: str, descriptions: Mapping[str, str]
) -> Callable[[], None]:
    """Check everything that can be checked before anything is played; returns the run.

    Raises:
        ValueError: where the request is wrong, naming what is and what would do.
    """
    directory = CompressDirectory(path)
    check_unlocked(path)
    if settings.resume:
        directory.check_resumable()
        if directory.finished:
            return lambda: print(f"{path}: this run has finished already")
    else:
        directory.check_free()
    set_threads(settings)
    started = time.monotonic(), time.process_time()
    console = Console()

    def say(line: str) -> None:
        console.print(line, highlight=False, soft_wrap=True, markup=False)

    plan = make_plan(settings, say)

    def work() -> None:
        with explained(directory), locked(path), caught_signals(say) as stop:
            _describe(plan, directory, command, descriptions, say)
            with Session(plan, directory, console, stop=stop, started=started) as session:
                if settings.method == "distill":
                    session.teach()
                elif settings.method == "oneshot":
                    one_shot(session)
                else:
                    finetune(session)
                stop.let_go(f"stopped while evaluating; {directory.how_to_resume}")
                conclude(session)
            Store(directory.checkpoints).prune(1)

    return work


def _describe(
    plan: Plan,
    directory: RunDirectory,
    command: str,
    descriptions: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    if plan.settings.resume:
        for change in directory.note_changes():
            say(f"results may differ from here on: {change}")
        directory.continue_(command)
    else:
        directory.check_free()
        directory.describe(command, descriptions)
    if plan.spec is not None:
        say(plan.spec.protocol)
