"""The jobs that commands ask of a sweep: written down when one starts, expanded when asked."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from rlcompress.artifact.file import write_bytes
from rlcompress.training.sweep_time import Words

COMMANDS = ".commands"
"""In a sweep's directory: a file per command given there, its words and how jobs are named."""

_PLACE = re.compile(r"\$\{(?:hydra:runtime\.choices\.)?([\w.]+)\}")
"""What hydra fills in with a setting, or with the choice of a group."""


class RecordCommand(Callback):
    """Keeps what each command asks for; hydra's own multirun.yaml knows the newest alone."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the words of this command beside those of others."""
        command = {"words": _words(config), "subdir": _hydra(config)["sweep"].get("subdir")}
        text = json.dumps(command, indent=2).encode()
        folder = Path(str(config.hydra.sweep.dir)) / COMMANDS
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / f"{hashlib.sha256(text).hexdigest()[:12]}.json", text)


def asked_jobs(sweep: Path) -> list[Words]:
    """The overrides of every job that a command in ``sweep`` asks for, each once, in order."""
    return list(dict.fromkeys(job for found in _commands(sweep) for job in _expanded(found.words)))


def directory_keys(sweep: Path) -> frozenset[str] | None:
    """The settings that a job's directory is named after; None where that is not all there is.

    A directory may be named after a job's number, and two commands may name theirs differently.
    """
    templates = {command.subdir for command in _commands(sweep)}
    template = templates.pop() if len(templates) == 1 else None
    keys = frozenset(_PLACE.findall(template or ""))
    return keys if keys and "${" not in _PLACE.sub("", template or "") else None


@dataclass(frozen=True)
class _Command:
    words: list[str]
    subdir: str | None = None


def _commands(sweep: Path) -> list[_Command]:
    """Oldest first; of a sweep that is older than the record, the newest alone."""
    files = sorted((sweep / COMMANDS).glob("*.json"), key=lambda file: file.stat().st_mtime)
    found = [json.loads(file.read_bytes()) for file in files]
    if found:
        return [_Command(f) if isinstance(f, list) else _Command(**f) for f in found]
    multirun = sweep / "multirun.yaml"
    return [_Command(_words(OmegaConf.load(multirun)))] if multirun.is_file() else []


def _hydra(config: Any) -> dict[str, Any]:
    # As written: what it refers to is not known before a job is.
    found = OmegaConf.to_container(config.hydra, resolve=False)
    assert isinstance(found, dict)
    return {str(name): value for name, value in found.items()}


def _words(config: Any) -> list[str]:
    """Axes of the configuration and words of the command line."""
    hydra = _hydra(config)
    params = hydra["sweeper"].get("params") or {}
    words = [f"{name}={value}" for name, value in params.items()]
    return words + list(hydra["overrides"]["task"])


def _expanded(words: list[str]) -> Iterator[Words]:
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
