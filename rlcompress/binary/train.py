"""Entry point ``python -m rlcompress.binary.train``: a run directory around one search."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from rlcompress import cli
from rlcompress.binary.settings import Settings


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at everything that can be wrong before a generation; returns the run."""
    if settings.resume:
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


def as_it_was(settings: Settings, directory: Path) -> Settings:
    """The settings that the run in ``directory`` was started with; overrides may only repeat them.

    Raises:
        ValueError: where there is no run, or an override asks for something else.
    """
    path = directory / ".hydra" / "config.yaml"
    if not path.is_file():
        raise ValueError(f"resume=true, but {directory} holds no run; name it by hydra.run.dir")
    before = OmegaConf.merge(OmegaConf.structured(Settings), OmegaConf.load(path))
    now = OmegaConf.structured(settings)
    for override in HydraConfig.get().overrides.task:
        key = override.split("=", 1)[0].lstrip("+~")
        asked, was = OmegaConf.select(now, key), OmegaConf.select(before, key)
        if key != "resume" and asked != was:
            raise ValueError(
                f"resume=true continues a run as it was started, with {key}={was}, but {key} is "
                f"now {asked}; leave it out"
            )
    found = OmegaConf.to_object(before)
    assert isinstance(found, Settings)
    return replace(found, resume=True)


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
