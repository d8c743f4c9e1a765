"""The jobs that commands ask of a sweep: written down when one starts, expanded when asked."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from rlcompress.artifact.file import write_bytes

COMMANDS = ".commands"
"""In a sweep's directory: one file of override words per command that was given there."""


class RecordCommand(Callback):
    """Keeps what each command asks for; hydra's own multirun.yaml knows the newest alone."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the words of this command beside those of others."""
        text = json.dumps(_words(config), indent=2).encode()
        folder = Path(str(config.hydra.sweep.dir)) / COMMANDS
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / f"{hashlib.sha256(text).hexdigest()[:12]}.json", text)


def asked_jobs(sweep: Path) -> list[frozenset[str]]:
    """The overrides of every job that a command in ``sweep`` asks for, each once, in order.

    Of a sweep that is older than this record, the newest command's.
    """
    files = sorted((sweep / COMMANDS).glob("*.json"), key=lambda file: file.stat().st_mtime)
    commands: list[list[str]] = [json.loads(file.read_bytes()) for file in files]
    if not commands and (sweep / "multirun.yaml").is_file():
        commands.append(_words(OmegaConf.load(sweep / "multirun.yaml")))
    return list(dict.fromkeys(job for words in commands for job in _expanded(words)))


def _words(config: Any) -> list[str]:
    """Axes of the configuration and words of the command line."""
    # As written: what they refer to is not known before a job is.
    hydra = OmegaConf.to_container(config.hydra, resolve=False)
    assert isinstance(hydra, dict)
    params = hydra["sweeper"].get("params") or {}
    words = [f"{name}={value}" for name, value in params.items()]
    return words + list(hydra["overrides"]["task"])


def _expanded(words: list[str]) -> Iterator[frozenset[str]]:
    axes = []
    for override in OverridesParser.create().parse_overrides(words):
        key = override.get_key_element()
        if key == "resume":
            continue
        values = (
            list(override.sweep_string_iterator())
            if override.is_sweep_override()
            else [override.get_value_element_as_str()]
        )
        axes.append([f"{key}={value}" for value in values])
    return (frozenset(words) for words in itertools.product(*axes))
