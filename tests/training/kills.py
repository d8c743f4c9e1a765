"""Runs that die: training in a process of its own that is killed at a chosen moment."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path

import torch

from rlcompress.artifact import CompressedPolicy
from rlcompress.sb3.checkpoint import load
from rlcompress.training import checkpoint
from tests.integration.runs import train_main

SHORT = (
    "budget=smoke",
    "quant=true",
    "sparsity=0.8",
    "eval_episodes=1",
    "eval_episode_steps=12",
    "final_episodes=1",
    "parity_observations=12",
)

HOPPER = (
    *SHORT,
    "env=Hopper-v4",
    "total_timesteps=150",
    "pruning.updates=15",
    "sac.net_arch=[16,16]",
    "sac.learning_starts=30",
    "sac.batch_size=16",
    "eval_freq=60",
    "checkpoint_freq=40",
)

PONG = (
    *SHORT,
    "env=Pong-v4",
    "total_timesteps=80",
    "pruning.updates=6",
    "dqn_atari.net_arch=[16]",
    "dqn_atari.learning_starts=16",
    "dqn_atari.batch_size=4",
    "dqn_atari.target_update_interval=12",
    "eval_freq=40",
    "checkpoint_freq=24",
)


def in_process(directory: Path, *overrides: str, before: Callable[[], None] | None = None) -> int:
    """Exit status of a run in a forked process: its code, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            with open(f"{directory}.log", "a") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
                sys.stdout, sys.stderr = log, log
                # The server that pytest's process forks from is no child of this one.
                forkserver._forkserver.__init__()
                if before is not None:
                    before()
                code = train_main(directory, *overrides)
                log.flush()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_after(cpu_seconds: float) -> Callable[[], None]:
    """Die after so much computing, as suddenly as by SIGKILL: no handler, no clean-up."""

    def arm() -> None:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)

    return arm


def at_file(
    directory: Path, number: int, do: Callable[[], object], named: str = ""
) -> Callable[[], None]:
    """Do something just before a process opens, renames or removes a file of its run.

    ``number`` counts files with ``named`` in their path, from 1.
    """

    def arm() -> None:
        seen = 0

        def look(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            if event not in ("open", "os.rename", "os.remove", "os.truncate"):
                return
            if str(arguments[0]).startswith(str(directory)) and named in str(arguments[0]):
                seen += 1
                if seen == number:
                    do()

        sys.addaudithook(look)

    return arm


def sent(number: int) -> Callable[[], None]:
    """Send the process a signal."""
    return lambda: os.kill(os.getpid(), number)


def killed_at_file(directory: Path, number: int, named: str = "") -> Callable[[], None]:
    """Die by SIGKILL there."""
    return at_file(directory, number, sent(signal.SIGKILL), named)


def in_small_files(then: Callable[[], None] | None = None) -> Callable[[], None]:
    """Write transitions in files of some twenty steps, as runs with large buffers have many."""

    def arm() -> None:
        checkpoint.SEGMENT_BYTES = 2500
        if then is not None:
            then()

    return arm


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def finish(directory: Path, *overrides: str) -> None:
    """Go on with a run as someone would who finds it dead."""
    begun = (directory / ".hydra/config.yaml").exists()
    # A run that died before it wrote its configuration is no run yet.
    again = ("resume=true",) if begun else overrides
    code = in_process(directory, *again)
    assert code == 0, Path(f"{directory}.log").read_text()


def assert_same(directory: Path, undisturbed: Path) -> None:
    """Weights, masks, evaluations and artifacts are equal, bit for bit."""
    for name in ("eval.jsonl", "actor.rlc"):
        assert (directory / name).read_bytes() == (undisturbed / name).read_bytes(), name
    for path in sorted((undisturbed / "phases").iterdir()):
        twin = directory / "phases" / path.name
        if path.suffix == ".rlc":
            assert twin.read_bytes() == path.read_bytes(), path.name
        else:
            _assert_same_models(twin, path)
    CompressedPolicy.load(directory / "actor.rlc")
    assert not list(directory.rglob("*.tmp"))


def _assert_same_models(one: Path, other: Path) -> None:
    models = load(one), load(other)
    states = [model.policy.state_dict() for model in models]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        twin = states[1][name]
        assert torch.equal(value, twin), (one.name, name)
        assert torch.equal(torch.signbit(value), torch.signbit(twin)), (one.name, name)
