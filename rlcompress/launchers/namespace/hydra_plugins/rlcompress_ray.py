"""Hydra's launcher for Ray: one task per job, started again by Ray where a machine or worker dies.

Decides nothing about jobs. hydra-ray-launcher does the same but needs cloudpickle below 3 and
boto3, whose python-dateutil is older than the one this package is tested with; joblib's Ray backend
ends the whole sweep when one worker dies.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, configure_log, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from rlcompress.launchers.remote import Origin, run_there

GB = 1_000_000_000


class RayLauncher(Launcher):
    """Starts every job of a sweep as a Ray task and waits for all of them."""

    def __init__(self, address: str | None, memory_gb: float, **remote: Any) -> None:
        self._address = address
        self._remote: dict[str, Any] = {**remote, "memory": int(memory_gb * GB) or None}
        self._context: HydraContext | None = None
        self._task: TaskFunction | None = None
        self._config: DictConfig | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Remember what hydra's jobs are made of."""
        self._context, self._task, self._config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs on the cluster; what each returned, in their order."""
        import ray

        assert self._config is not None and self._context is not None
        setup_globals()
        configure_log(self._config.hydra.hydra_logging, self._config.hydra.verbose)
        Path(str(self._config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        with _cluster(self._address):
            task = ray.remote(**self._remote)(run_there)
            state = Singleton.get_state()
            # Pickled apart: what is inside can only be found once the paths are known there.
            pickler: Any = ray.cloudpickle
            what = pickler.dumps((state, self._context, self._task))
            shared = ray.put(Origin(what, tuple(sys.path), os.getcwd()))
            jobs = [
                task.remote(shared, self._job(overrides, initial_job_idx + number))
                for number, overrides in enumerate(job_overrides)
            ]
            try:
                return [ray.get(job) for job in jobs]
            except KeyboardInterrupt:
                # Running jobs get what Ctrl-C would give them, and save themselves.
                for job in jobs:
                    ray.cancel(job, force=False)
                ray.wait(jobs, num_returns=len(jobs), timeout=60)
                raise

    def _job(self, overrides: Sequence[str], number: int) -> DictConfig:
        assert self._context is not None and self._config is not None
        config = self._context.config_loader.load_sweep_config(self._config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = f"{config.hydra.job.name}_{number}"
            config.hydra.job.num = number
        return config


@contextlib.contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """A connection to Ray for the time of the block."""
    import ray

    ray.init(address=address, include_dashboard=None if address else False, log_to_driver=True)
    try:
        yield
    finally:
        ray.shutdown()
