"""Entry point ``python -m rlcompress.binary.train``: a run directory around one search."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlcompress import cli
from rlcompress.binary.settings import Settings
from rlcompress.resuming import as_it_was, config_of


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at everything that can be wrong before a generation; returns the run."""
    if settings.resume:
        if not config_of(job.directory).is_file():
            raise ValueError(
                f"resume=true, but {job.directory} holds no run; name it by hydra.run.dir"
            )
        settings = as_it_was(settings, job.directory)
    # Imported here: --help needs none of this.
    from rlcompress.binary.assemble import assemble
    from rlcompress.training.directory import RunDirectory
    from rlcompress.training.lock import check_unlocked

    directory = RunDirectory(job.directory)
    check_unlocked(job.directory)
    if not settings.resume:
        directory.check_free()
    elif directory.finished:
        return lambda: print(f"{job.directory}: this run has finished already")
    _check_counts(settings)
    parts = assemble(settings)
    return lambda: _work(settings, job, directory, parts)


def _check_counts(settings: Settings) -> None:
    for name in ("generations", "checkpoint_every", "final_episodes", "slots"):
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(settings, name)}")
    for name in ("board_every", "draw_every"):
        if getattr(settings, name) < 0:
            raise ValueError(f"{name} must be 0 (never) or more, got {getattr(settings, name)}")
    if any(width < 1 for width in settings.hidden):
        raise ValueError(f"hidden must be numbers of neurons, got {list(settings.hidden)}")


def _work(settings: Settings, job: cli.Job, directory: Any, parts: Any) -> None:
    from rich.console import Console

    from rlcompress.binary.run import Run
    from rlcompress.training.directory import SUMMARY
    from rlcompress.training.lock import locked
    from rlcompress.training.signals import caught_signals
    from rlcompress.training.store import Store

    console = Console(soft_wrap=True)

    def say(line: str) -> None:
        console.print(line, highlight=False)

    job.directory.mkdir(parents=True, exist_ok=True)
    with locked(job.directory), caught_signals(say) as stop:
        if settings.resume:
            directory.continue_(job.command)
        else:
            directory.check_free()
            directory.describe(job.command, job.descriptions)
        store = Store(directory.checkpoints)
        run = Run(
            settings,
            parts,
            job.directory,
            lambda number, state: store.write(number, (), state),
            say,
        )
        if settings.resume and store.paths():
            run.resume_(store.open_newest(say).body)
        elif settings.resume:
            directory.begin_again()
        run.train(lambda: stop.number is not None)
        place = shlex.quote(str(job.directory.absolute()))
        stop.let_go(
            f"stopped after generation {parts.evolution.generation}; continue with: python -m "
            f"rlcompress.binary.train hydra.run.dir={place} resume=true"
        )
        summary = run.conclude()
        directory.write_json(SUMMARY, summary)
        _show(summary, job.directory, say)
        parts.close()


def _show(summary: dict[str, Any], directory: Path, say: Callable[[str], None]) -> None:
    say(
        f"{summary['env']}, seed {summary['seed']}, widths {summary['widths']}, "
        f"{summary['generations']} generations, {summary['steps']:,} steps"
    )
    for row in summary["rows"]:
        say(
            f"  {row['network']:<5} {row['return_mean']:9.1f} ± {row['return_std']:.1f}  "
            f"({row['episodes']} fresh episodes)"
        )
    size = summary["size_bytes"]
    say(
        f"  bytes: {size['weights']} of weights, {size['with_thresholds']} with thresholds, "
        f"{summary['policy_bytes']} as an artifact\n{directory / 'actor.rlc'}"
    )


def main() -> int:
    """Run the entry point; returns the exit code."""
    return cli.run(cli.EntryPoint("binary", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
