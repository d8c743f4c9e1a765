"""Environments in processes of their own, whose deaths and faults are told; makes none itself."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import multiprocessing.connection
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import SubprocVecEnv, VecEnv
from stable_baselines3.common.vec_env.base_vec_env import (
    CloudpickleWrapper,
    VecEnvIndices,
    VecEnvObs,
)
from stable_baselines3.common.vec_env.subproc_vec_env import _worker

from rlcompress.sb3 import env_state
from rlcompress.sb3.env_core_state import Unsaveable
from rlcompress.sb3.env_wrappers import EnvironmentFault, Step

Env = gymnasium.Env[Any, Any]
State = dict[str, Any]

FAULT = "rlcompress.fault"
_SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
_GRACE_S = 5.0
_PRELOADED = ["rlcompress.sb3.environments"]
"""Imported once, in the process that all those of environments are forked from."""


class Carrier(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The outermost wrapper in a process: what would end the process travels to the run instead."""

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        space = env.observation_space
        self._nothing = np.zeros(space.shape or (), space.dtype)

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Reset; a fault lies in the second result."""
        try:
            return self.env.reset(**kwargs)
        except EnvironmentFault as fault:
            return self._nothing, {FAULT: fault}

    def step(self, action: Any) -> Step:
        """Step; a fault lies in the last result."""
        try:
            return self.env.step(action)
        except EnvironmentFault as fault:
            return self._nothing, 0.0, False, False, {FAULT: fault}

    def capture_state(self) -> State:
        """The state of the environment and of its spaces; ``{"unsaved": why}`` without one."""
        try:
            spaces = [_generator(space) for space in env_state.spaces_of(self.env)]
            return {"env": env_state.capture_env(self.env), "spaces": spaces}
        except Unsaveable as error:
            return {"unsaved": str(error)}

    def restore_state(self, state: State) -> None:
        """Go on from ``capture_state()``."""
        env_state.restore_env_(self.env, state["env"])
        spaces = env_state.spaces_of(self.env)
        for space, saved in zip(spaces, state["spaces"], strict=True):
            if saved is not None:
                space.np_random.bit_generator.state = saved


def _generator(space: gymnasium.Space[Any]) -> Any:
    generator = space._np_random
    return None if generator is None else generator.bit_generator.state


class ProcessVecEnv(SubprocVecEnv):
    """One process per environment; ``steps`` counts since they were started.

    Signals that ask the run to stop, which whole process groups get, are left to the run: it
    finishes its step with all environments alive.
    """

    def __init__(self, makers: Sequence[Callable[[], Env]], env_id: str) -> None:
        self.env_id = env_id
        self.steps = 0
        self.waiting = self.closed = False
        self.processes: list[Any] = []
        forked = "forkserver" in multiprocessing.get_all_start_methods()
        context: Any = multiprocessing.get_context("forkserver" if forked else "spawn")
        if forked:
            context.set_forkserver_preload(_PRELOADED)
        pipes = [context.Pipe() for _ in makers]
        self.remotes, self.work_remotes = zip(*pipes, strict=True)
        for (here, there), maker in zip(pipes, makers, strict=True):
            arguments = (there, here, CloudpickleWrapper(_carried(maker)))
            process = context.Process(target=_work, args=arguments, daemon=True)
            process.start()
            self.processes.append(process)
            there.close()
        with self._watched():
            self.remotes[0].send(("get_spaces", None))
            observation, action = self.remotes[0].recv()
        VecEnv.__init__(self, len(makers), observation, action)
        # Before multiprocessing ends its children by a signal that these do not listen to.
        atexit.register(self._end)

    def step_async(self, actions: np.ndarray[Any, Any]) -> None:
        """Begin a step of all environments."""
        with self._watched():
            super().step_async(actions)

    def step_wait(self) -> Any:
        """The results of the step that was begun, in the types of ``DummyVecEnv``."""
        with self._watched():
            observations, rewards, dones, infos = super().step_wait()
        self.steps += 1
        self._check([*infos, *self.reset_infos])
        return observations, rewards.astype(np.float32), dones, list(infos)

    def reset(self) -> VecEnvObs:
        """Reset all environments."""
        with self._watched():
            found = super().reset()
        self._check(self.reset_infos)
        return found

    def env_method(
        self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of the environments."""
        with self._watched():
            return super().env_method(method_name, *args, indices=indices, **kwargs)

    def close(self) -> None:
        """End the processes."""
        atexit.unregister(self._end)
        self._end()
        self.closed = True

    def _check(self, infos: Sequence[Any]) -> None:
        for info in infos:
            if info and FAULT in info:
                raise info[FAULT]

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, ConnectionError) as error:
            raise EnvironmentFault(self.env_id, self.steps, self._seen()) from error

    def _seen(self) -> str:
        multiprocessing.connection.wait([process.sentinel for process in self.processes], _GRACE_S)
        for number, process in enumerate(self.processes):
            if process.exitcode is not None:
                code = process.exitcode
                how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
                return f"the process of environment {number} died ({how})"
        return "the process of an environment does not answer"

    def _end(self) -> None:
        for remote in getattr(self, "remotes", ()):
            remote.close()
        for process in self.processes:
            process.join(_GRACE_S)
            if process.exitcode is None:
                process.kill()
                process.join()


def _work(remote: Any, parent: Any, maker: Any) -> None:
    """SB3's worker, which is silent where the run has gone away without reading everything."""
    with contextlib.suppress(ConnectionError):
        _worker(remote, parent, maker)


def _carried(maker: Callable[[], Env]) -> Callable[[], Env]:
    def make() -> Env:
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            if number is not None:
                signal.signal(number, signal.SIG_IGN)
        return Carrier(maker())

    return make
