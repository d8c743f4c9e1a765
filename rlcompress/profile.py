"""Entry point ``python -m rlcompress.profile``: where the wall time of training goes.

Times parts of a run by standing in front of the functions that do them; each part is charged for
what it does itself, not for parts inside it. ``mode=display`` times drawing instead: seconds per
1 000 steps of DQN on Pong after learning has started.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlcompress import cli

REST = "everything else"
NOTE_S = {"every frame": 56.0, "one in three": 46.0, "one in three, tuned": 37.0}
"""The note's seconds per 1 000 steps, on its own hardware, for comparison."""


@dataclass
class Settings:
    """Names as on the command line."""

    mode: str
    env: str
    training: str
    steps: int
    warm_up: int
    draw_every: int
    cudnn_benchmark: bool
    channels_last: bool
    device: str
    threads: int
    seed: int
    out: str | None


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at the request; returns the measurement."""
    from rlcompress.sb3.environments import describe
    from rlcompress.training.plan import check_device

    for name in ("steps", "warm_up", "threads"):
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(settings, name)}")
    if settings.mode not in ("parts", "display"):
        raise ValueError(f"mode must be parts or display, got {settings.mode!r}")
    if settings.training not in ("fast", "sb3"):
        raise ValueError(f"training must be fast or sb3, got {settings.training!r}")
    check_device(settings.device)
    describe(settings.env)
    return lambda: (_display if settings.mode == "display" else _parts)(settings)


class Clock:
    """Seconds by part: the innermost part that is running is charged.

    ``finish`` waits for what a part has begun elsewhere: a GPU works on when its calls return.
    """

    def __init__(self, finish: Callable[[], object] = lambda: None) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._finish = finish
        self._running = [REST]
        self._since = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Charge ``name`` for what happens inside."""
        self._charge()
        self._running.append(name)
        try:
            yield
        finally:
            self._charge()
            self._running.pop()

    def start(self) -> None:
        """Forget what was charged so far."""
        self._charge()
        self.seconds.clear()

    def stop(self) -> float:
        """Charge what is open; returns the seconds of all parts."""
        self._charge()
        return sum(self.seconds.values())

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Charge calls of an object's method to a part, for this object alone."""
        inner = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return inner(*args, **kwargs)

        setattr(owner, method, timed)

    def _charge(self) -> None:
        self._finish()
        now = time.perf_counter()
        self.seconds[self._running[-1]] += now - self._since
        self._since = now


def _parts(settings: Settings) -> None:
    from rlcompress.bench.rows import report

    with tempfile.TemporaryDirectory() as place:
        model, callbacks = _model(settings, settings.draw_every, Path(place))
        model.learn(settings.warm_up, callback=callbacks)
        import torch

        clock = Clock(torch.cuda.synchronize) if model.device.type == "cuda" else Clock()
        _watch(model, callbacks, clock)
        with _backward(clock):
            clock.start()
            model.learn(settings.steps, callback=callbacks, reset_num_timesteps=False)
        total = clock.stop()
    rows = [
        {
            "part": name,
            "ms_per_step": round(1e3 * seconds / settings.steps, 4),
            "share_percent": round(100.0 * seconds / total, 1),
            "speed_up_if_free": round(total / (total - seconds), 2),
        }
        for name, seconds in sorted(clock.seconds.items(), key=lambda item: -item[1])
    ]
    title = f"{settings.env}, training={settings.training}: {settings.steps / total:.1f} steps/s"
    report(title, rows, out=settings.out)


def _watch(model: Any, callbacks: list[Any], clock: Clock) -> None:
    """Stand in front of everything that has a name of its own."""
    env = model.get_env()
    for core in env.unwrapped.envs if hasattr(env.unwrapped, "envs") else []:
        clock.watch(core.unwrapped, "step", "emulator")
    clock.watch(env, "step", "preprocessing (wrappers)")
    clock.watch(model, "_sample_action", "acting")
    clock.watch(model, "_store_transition", "replay storing")
    clock.watch(model.replay_buffer, "sample", "replay sampling")
    clock.watch(model.replay_buffer, "to_torch", "transfer")
    for method in ("record", "dump"):
        clock.watch(model.logger, method, "logging")
    for callback in callbacks:
        clock.watch(callback, "_on_step", "drawing")
    policy = model.policy
    for owner in (policy, *policy.children()):
        if "optimizer" in vars(owner):
            clock.watch(owner.optimizer, "step", "optimizer")
    if getattr(model, "ent_coef_optimizer", None) is not None:
        clock.watch(model.ent_coef_optimizer, "step", "optimizer")
    whole = "update (one graph)" if "_fast" in vars(model) else "forward"
    clock.watch(model, "train", whole)


@contextmanager
def _backward(clock: Clock) -> Iterator[None]:
    """Charge every backward pass, wherever it is called."""
    import torch

    inner: Callable[..., Any] = torch.Tensor.backward

    def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
        with clock.part("backward"):
            return inner(self, *args, **kwargs)

    torch.Tensor.backward = timed  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.Tensor.backward = inner  # type: ignore[method-assign]


def _display(settings: Settings) -> None:
    from rlcompress.bench.rows import report

    rows = []
    for name, every, tuned in (
        ("every frame", 1, False),
        ("one in three", 3, False),
        ("one in three, tuned", 3, True),
        ("never, tuned", 0, True),
    ):
        how = "fast" if tuned else "sb3"
        seconds = _seconds_per_thousand(settings, every, how)
        rows.append(
            {
                "drawing": name,
                "training": how,
                "seconds_per_1000_steps": round(seconds, 2),
                "the_note_s": NOTE_S.get(name),
            }
        )
    report(f"{settings.env}: 1 000 steps after learning has started", rows, out=settings.out)


def _seconds_per_thousand(settings: Settings, every: int, how: str) -> float:
    from dataclasses import replace

    with tempfile.TemporaryDirectory() as place:
        changed = replace(settings, training=how, cudnn_benchmark=how == "fast")
        model, callbacks = _model(changed, every, Path(place))
        model.learn(settings.warm_up, callback=callbacks)
        began = time.perf_counter()
        model.learn(settings.steps, callback=callbacks, reset_num_timesteps=False)
        return 1000.0 * (time.perf_counter() - began) / settings.steps


def _model(settings: Settings, draw_every: int, place: Path) -> tuple[Any, list[Any]]:
    """A model whose learning starts within the warm-up, and a callback that draws it."""
    import torch
    from stable_baselines3.common.logger import configure

    from rlcompress.bench.training_worker import Task, make_model
    from rlcompress.fast.accelerate import accelerate_
    from rlcompress.fast.engine import FastOptions
    from rlcompress.sb3.drawing import DrawCallback

    torch.set_num_threads(settings.threads)
    torch.backends.cudnn.benchmark = settings.cudnn_benchmark
    fast = settings.training == "fast"
    task = Task(settings.env, fast, "default", False, 0.0, settings.warm_up, settings.seed, 0)
    model = make_model(
        task, device=settings.device, render_mode="rgb_array" if draw_every else None
    )
    if settings.channels_last:
        model.policy.to(memory_format=torch.channels_last)
    model.set_logger(configure(str(place / "log"), ["tensorboard"]))
    if fast:
        print(accelerate_(model, FastOptions(keep_gradients=False)))
    callbacks = [DrawCallback(draw_every, place / "drawings")] if draw_every else []
    return model, callbacks


def main() -> int:
    """Run the entry point; returns the exit code."""
    return cli.run(cli.EntryPoint("profile", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
