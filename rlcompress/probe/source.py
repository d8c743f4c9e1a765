"""Opens what a user points at: a run directory, an artifact, an SB3 zip; measures nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rlcompress.artifact import AnyArray, CompressedPolicy
from rlcompress.probe.subject import Subject, make_subject
from rlcompress.runtime.reference import with_golden

Kind = Literal["run", "artifact", "zip"]


@dataclass(frozen=True)
class Source:
    """A policy, where it came from, and the SB3 zip that belongs to it if there is one."""

    policy: CompressedPolicy
    kind: Kind
    path: Path
    model_path: Path | None

    @property
    def name(self) -> str:
        """Short: the environment where it is known, else the file's name."""
        env_id = self.policy.meta.get("env_id")
        return str(env_id) if env_id else (self.path.stem or str(self.path))

    def beside(self, suffix: str) -> Path:
        """Where results go: into a run's directory, or beside a file, under its name."""
        if self.kind == "run":
            return self.path / f"probe{suffix}"
        return self.path.with_name(f"{self.path.stem}.probe{suffix}")

    def subject(self, stream: AnyArray | None = None) -> Subject:
        """What backends run; golden data are made up where the artifact has none."""
        policy = self.policy
        if policy.golden is None:
            policy = with_golden(policy, made_up(policy, 16))
        return make_subject(policy, model_path=self.model_path, stream=stream)

    def describe(self) -> dict[str, Any]:
        """JSON-able facts about the policy."""
        summary, meta = self.policy.summary(), self.policy.meta
        return {
            "name": self.name,
            "source": str(self.path),
            "kind": self.kind,
            **{key: meta.get(key) for key in ("env_id", "variant", "algorithm")},
            **{key: summary[key] for key in ("sparsity", "weights", "kept")},
            "observation_shape": list(self.policy.observation.shape),
            "action": self.policy.action.kind,
        }


def open_source(path: Path) -> Source:
    """The policy at ``path``.

    Raises:
        ValueError: one line, where there is none or it cannot be read.
    """
    if not path.exists():
        raise ValueError(f"run={path} does not exist")
    if path.is_dir():
        return _run(path)
    if path.suffix == ".zip":
        return Source(_frozen(path), "zip", path, path)
    zipped = path.with_suffix(".zip")
    return Source(
        CompressedPolicy.load(path), "artifact", path, zipped if zipped.is_file() else None
    )


def made_up(policy: CompressedPolicy, count: int, seed: int = 0) -> AnyArray:
    """Observations of the right form: noise."""
    rng = np.random.default_rng(seed)
    shape = (count, *policy.observation.shape)
    if policy.observation.image:
        return rng.integers(0, 256, shape).astype(np.uint8)
    return rng.normal(0, 1, shape).astype(np.float32)


def _run(directory: Path) -> Source:
    artifact, zipped = directory / "actor.rlc", directory / "actor.zip"
    if not artifact.is_file() and not zipped.is_file():
        raise ValueError(f"{directory} holds no finished run (no actor.rlc, no actor.zip)")
    policy = CompressedPolicy.load(artifact) if artifact.is_file() else _frozen(zipped)
    return Source(policy, "run", directory, zipped if zipped.is_file() else None)


def _frozen(zipped: Path) -> CompressedPolicy:
    # Imported here: torch takes seconds, and an artifact does not need it.
    from rlcompress.export.freeze import freeze
    from rlcompress.sb3.checkpoint import load

    return freeze(load(zipped))
