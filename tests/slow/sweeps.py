"""Sweeps as a user starts them, and what disturbs them, for the tests of launchers and kills."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.training.kills import HOPPER

SWEEP = (*HOPPER, "total_timesteps=300", "checkpoint_freq=20", "resume=true", "seed=0,1", "-m")
PATIENCE_S = 300


def start(
    directory: Path, *words: str, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a sweep in a process of its own; what it says goes into ``<directory>.log``."""
    command = [sys.executable, "-m", "rlcompress.train", *words, f"hydra.sweep.dir={directory}"]
    with open(f"{directory}.log", "ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def ended(process: subprocess.Popen[bytes], directory: Path) -> None:
    """Wait for a sweep that has to end well."""
    code = process.wait(PATIENCE_S)
    assert code == 0, said(directory)


def said(directory: Path) -> str:
    """What the sweeps in a directory have said."""
    return Path(f"{directory}.log").read_text(errors="replace")


def wait(happens: Callable[[], object], process: subprocess.Popen[bytes], directory: Path) -> None:
    """Wait until something has happened in a sweep that goes on."""
    deadline = time.monotonic() + PATIENCE_S
    while not happens():
        assert process.poll() is None, said(directory)
        assert time.monotonic() < deadline, said(directory)
        time.sleep(0.02)


def saved(run: Path) -> bool:
    """Whether a run has a checkpoint, and is not finished yet."""
    return any(run.glob("checkpoint/*.ckpt")) and not (run / "summary.json").exists()
