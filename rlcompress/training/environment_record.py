"""What a result depends on beside its configuration: versions, CPU, commit."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "rlcompress",
    "torch",
    "stable-baselines3",
    "sb3-contrib",
    "gymnasium",
    "mujoco",
    "ale-py",
    "opencv-python-headless",
    "numpy",
    "safetensors",
    "hydra-core",
)


def environment_record() -> dict[str, Any]:
    """JSON-able description of this process's surroundings."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "git": _git(),
        "scheduler_job": _scheduler_job(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }


def changes(before: Mapping[str, Any]) -> list[str]:
    """What of an earlier record is no longer so here, and may change results."""
    now = environment_record()
    pairs = [(name, before.get(name), now[name]) for name in ("python", "cpu", "git")]
    packages = before.get("packages", {})
    pairs += [(name, packages.get(name), found) for name, found in now["packages"].items()]
    return [f"{name} {was} -> {found}" for name, was, found in pairs if was and was != found]


def _scheduler_job() -> str | None:
    """SLURM's number of this job, as its logs are named."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _git() -> str | None:
    """Commit of the checkout this package lies in, marked where files differ from it."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    try:
        commit = _output(here, "rev-parse", "HEAD")
        changed = _output(here, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+changes" if changed else "")


def _output(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()
