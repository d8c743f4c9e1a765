"""One run's directory: who may use it, what describes it, and how files get into it whole.

Knows the names of the files; what is in most of them is the business of others.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlcompress.artifact.file import write_bytes
from rlcompress.training.environment_record import changes, environment_record

SUMMARY = "summary.json"
ENVIRONMENT = "environment.json"
TRACES = (
    "command.txt",
    ENVIRONMENT,
    "eval.jsonl",
    "actor.zip",
    "actor.rlc",
    SUMMARY,
    "checkpoint",
    "phases",
)
"""What a run leaves behind; a directory that holds one of them holds a run."""


@dataclass(frozen=True)
class RunDirectory:
    """Paths of a run's files."""

    path: Path

    @property
    def actor(self) -> Path:
        """The trained model as a plain SB3 zip."""
        return self.path / "actor.zip"

    @property
    def artifact(self) -> Path:
        """The compressed policy."""
        return self.path / "actor.rlc"

    @property
    def evaluations(self) -> Path:
        """One line per evaluation episode."""
        return self.path / "eval.jsonl"

    @property
    def checkpoints(self) -> Path:
        """What a resumed run goes on from."""
        return self.path / "checkpoint"

    @property
    def finished(self) -> bool:
        """Whether the run here has come to its end."""
        return (self.path / SUMMARY).exists()

    @property
    def how_to_resume(self) -> str:
        """The command that continues the run here, for messages."""
        place = shlex.quote(str(self.path.absolute()))
        return f"continue with: python -m rlcompress.train hydra.run.dir={place} resume=true"

    def saved(self, phase: str, which: str, suffix: str = ".zip") -> Path:
        """The last or best model of a phase."""
        return self.path / "phases" / f"{phase}_{which}{suffix}"

    def check_free(self) -> None:
        """Raise ValueError where another run lives here."""
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"run directory {self.path} is a file")
        found = [name for name in TRACES if (self.path / name).exists()]
        if found:
            raise ValueError(
                f"run directory {self.path} holds another run ({found[0]}); choose another "
                "hydra.run.dir, or resume=true to continue it"
            )

    def check_resumable(self) -> None:
        """Raise ValueError where there is nothing to continue."""
        if not (self.path / ".hydra" / "config.yaml").is_file():
            raise ValueError(
                f"resume=true, but {self.path} holds no checkpoint and no run; name the run to "
                "continue with hydra.run.dir=<dir>"
            )

    def record(self) -> dict[str, Any]:
        """What the run was begun with, {} where it did not write that down."""
        path = self.path / ENVIRONMENT
        found: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
        return found

    def note_changes(self) -> list[str]:
        """What is no longer as it was when the run began, and may change results; written down."""
        before = self.record()
        found = changes(before)
        noted = before.get("changed", [])
        new = [change for change in found if change not in noted]
        if new:
            self.write_json(ENVIRONMENT, {**before, "changed": [*noted, *new]})
        return found

    def go_on_after(self, step: int, record: Mapping[str, Any]) -> list[str]:
        """Write down that another run, with that record, made the first steps; what differs now."""
        self.write_json(ENVIRONMENT, {**self.record(), "begun_by": {"steps": step, **record}})
        return changes(record)

    def continue_(self, command: str) -> None:
        """Write down that the run goes on, and remove files that a kill left half written."""
        for path in self.path.rglob(".*.tmp"):
            path.unlink(missing_ok=True)
        (self.path / "phases").mkdir(exist_ok=True)
        (self.checkpoints / "replay").mkdir(parents=True, exist_ok=True)
        path = self.path / "command.txt"
        before = path.read_bytes() if path.exists() else b""
        write_bytes(path, before + f"{command}\n".encode())
        if not (self.path / ENVIRONMENT).exists():
            self.write_json(ENVIRONMENT, environment_record())

    def begin_again(self) -> None:
        """Remove what a run wrote that was killed before its first checkpoint."""
        growing = [self.evaluations, *self.path.glob("events.out.tfevents.*")]
        for path in [*growing, *(self.path / "phases").glob("*")]:
            path.unlink(missing_ok=True)

    def describe(self, command: str, texts: Mapping[str, str]) -> None:
        """Write down what runs here, with what configuration, on what machine."""
        (self.path / ".hydra").mkdir(parents=True, exist_ok=True)
        # The configuration first: with it the run can be continued.
        for name, text in texts.items():
            write_bytes(self.path / ".hydra" / name, text.encode())
        self.continue_(command)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a file of the directory as JSON."""
        write_bytes(self.path / name, (json.dumps(content, indent=2) + "\n").encode())
