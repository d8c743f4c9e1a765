"""One job of a sweep in a process on another machine; knows nothing of who started it there."""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import dataclass

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from omegaconf import DictConfig


@dataclass(frozen=True)
class Origin:
    """Where a sweep was started: hydra's state, context and task pickled, paths, directory."""

    pickled: bytes
    path: tuple[str, ...]
    directory: str


def run_there(origin: Origin, config: DictConfig) -> JobReturn:
    """Run a job as it would run where the sweep was started."""
    os.chdir(origin.directory)
    sys.path[:] = [*origin.path, *(place for place in sys.path if place not in origin.path)]
    state, context, task = pickle.loads(origin.pickled)
    setup_globals()
    Singleton.set_state(state)
    HydraConfig.instance().set_config(config)
    return run_job(
        hydra_context=context,
        task_function=task,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
