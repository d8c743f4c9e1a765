"""Entry point ``python -m rlcompress.play``: shows or records policies playing, side by side."""

from __future__ import annotations

import ctypes.util
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from rlcompress import cli
from rlcompress.evaluation.players import Player, Spent
from rlcompress.evaluation.video import Video, open_video, side_by_side

if TYPE_CHECKING:
    from rlcompress.probe.contenders import Contender
    from rlcompress.sb3.environments import EnvSpec

_FPS = 30.0


@dataclass
class Settings:
    """Everything ``python -m rlcompress.play`` understands."""

    run: str | None
    against: str | None
    env: str | None
    out: str | None
    window: bool
    episodes: int
    max_steps: int
    draw_every: int
    fps: float | None
    side: int
    seed: int


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Open the policies and draw one picture; returns the playing."""
    if settings.run is None:
        raise ValueError("run is missing: run=<run directory, SB3 zip or .rlc>")
    for name, least in (("episodes", 1), ("max_steps", 1), ("draw_every", 1), ("side", 64)):
        if getattr(settings, name) < least:
            raise ValueError(f"{name} must be at least {least}, got {getattr(settings, name)}")
    if settings.fps is not None and not 0 < settings.fps <= 1000:
        raise ValueError(f"fps must be above 0 and at most 1000, got {settings.fps:g}")
    # Imported here: --help needs no torch.
    from rlcompress.probe.contenders import open_contenders

    found = open_contenders(
        Path(settings.run), None if settings.against is None else Path(settings.against)
    )
    env_id = settings.env or found.env_id
    if env_id is None:
        raise ValueError("the policy does not say which environment it is for; give env=<id>")
    _choose_headless_gl()
    spec = _described(env_id)
    for one in found.players:
        if spec.observation_space.shape != one.shape:
            raise ValueError(
                f"{env_id} gives observations of shape {spec.observation_space.shape}, but the "
                f"policy takes {one.shape}; env=<id> names another"
            )
    visible = settings.window and settings.out is None and _has_display()
    fps = settings.fps or _fps(spec) / settings.draw_every
    video = None if visible else _open(settings, found.beside, fps)
    players = _players(found.players, spec, settings.seed)
    return lambda: Show(settings, players, video, fps).run()


class Show:
    """Players that take their steps together, and where the pictures go."""

    def __init__(
        self,
        settings: Settings,
        players: list[Player],
        video: tuple[Video, Path] | None,
        fps: float,
    ) -> None:
        from rlcompress.sb3.drawing import WindowCanvas

        self._settings = settings
        self._players = players
        self._video = None if video is None else video[0]
        self._path = None if video is None else video[1]
        self._canvas = WindowCanvas() if video is None else None
        self._writing = 0.0
        self._period = 1.0 / fps
        self._due = 0.0

    def run(self) -> None:
        """Play all episodes, then say what they brought and where the time went."""
        try:
            for _ in range(self._settings.episodes):
                self._episode()
        finally:
            if self._video is not None:
                start = time.perf_counter()
                self._video.close()
                self._writing += time.perf_counter() - start
            if self._canvas is not None:
                self._canvas.close()
            for player in self._players:
                player.env.close()
        self._report()

    def _episode(self) -> None:
        for player in self._players:
            player.begin()
        for number in range(self._settings.max_steps):
            if number % self._settings.draw_every == 0:
                self._draw(number)
            playing = [player for player in self._players if not player.finished]
            if not playing:
                return
            for player in playing:
                player.step()
        for player in self._players:
            if not player.finished:
                player.end(player.total)
                # An episode that was cut short goes on in the environment; the next one must not.
                player.observation = None

    def _draw(self, number: int) -> None:
        panes = [player.draw() for player in self._players]
        start = time.perf_counter()
        picture = side_by_side(panes, self._settings.side)
        if self._video is not None:
            self._video.add(picture)
        if self._canvas is not None:
            self._canvas.show(number, picture)
        self._writing += time.perf_counter() - start
        if self._canvas is not None:  # People watch: not faster than life.
            time.sleep(max(0.0, self._due - time.perf_counter()))
            self._due = max(self._due, time.perf_counter() - self._period) + self._period

    def _report(self) -> None:
        from rlcompress.bench.rows import wide_console

        drawn = sum(player.spent.drawing for player in self._players) + self._writing
        emulated = sum(player.spent.emulator for player in self._players)
        thought = sum(player.spent.network for player in self._players)
        total = max(drawn + emulated + thought, 1e-9)
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
        table.add_column("policy")
        for heading in ("return", "steps", "emulator us/step", "network us/step", "network share"):
            table.add_column(heading, justify="right")
        for player in self._players:
            steps = max(sum(player.lengths), 1)
            table.add_row(
                player.title,
                ", ".join(f"{one:.1f}" for one in player.returns),
                ", ".join(map(str, player.lengths)),
                f"{1e6 * player.spent.emulator / steps:,.0f}",
                f"{1e6 * player.spent.network / steps:,.1f}",
                f"{player.spent.network / total:.1%}",
            )
        console = wide_console()
        console.print(table)
        console.print(
            f"Time: emulator {emulated / total:.1%}, network {thought / total:.1%}, "
            f"drawing {drawn / total:.1%} of {total:.1f} s, "
            f"draw_every={self._settings.draw_every}",
            highlight=False,
        )
        if self._path is not None:
            size = self._path.stat().st_size
            console.print(f"{self._path}: {size:,} bytes", highlight=False, soft_wrap=True)


def _open(settings: Settings, beside: Callable[[str], Path], fps: float) -> tuple[Video, Path]:
    path = Path(settings.out) if settings.out is not None else beside(".mp4")
    return open_video(path, fps), path


def _fps(spec: EnvSpec) -> float:
    """Steps per second at which the environment looks as fast as it is meant to."""
    from rlcompress.sb3.env_ids import make_bare

    env = make_bare(spec.env_id, spec.make_options)
    frames = float(env.metadata.get("render_fps") or (60.0 if spec.atari else _FPS))
    env.close()
    return frames / spec.frame_skip


def _described(env_id: str) -> EnvSpec:
    from rlcompress.sb3.env_ids import registered
    from rlcompress.sb3.environments import describe

    registered(env_id)  # An unknown id has nothing to do with drawing.
    try:
        return describe(env_id)
    except Exception as error:
        raise ValueError(_one_line(error) + _gl_hint(env_id)) from None


def _players(contenders: Sequence[Contender], spec: EnvSpec, seed: int) -> list[Player]:
    """Everyone at the start of an episode, with a first picture: drawing fails here or not at all.

    Raises:
        ValueError: where the environment cannot be drawn.
    """
    from rlcompress.sb3.environments import make_evaluation_env

    players: list[Player] = []
    try:
        for one in contenders:
            env = make_evaluation_env(spec, seed=seed, render_mode="rgb_array")
            players.append(Player(one.title, one.predict, env))
            players[-1].begin()
            players[-1].draw()
            players[-1].spent = Spent()  # Opening a graphics context is not playing.
    except Exception as error:  # Whatever OpenGL, or what stands in for it, may raise.
        for player in players:
            player.env.close()
        reason = f"cannot draw {spec.env_id}: {_one_line(error)}"
        raise ValueError(reason + _gl_hint(spec.env_id)) from None
    return players


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _gl_hint(env_id: str) -> str:
    """What to do about OpenGL, for environments that draw with it."""
    from rlcompress.sb3.env_ids import registered

    if "mujoco" not in str(registered(env_id).entry_point).lower():
        return ""
    return (
        f" (MUJOCO_GL={os.environ.get('MUJOCO_GL', '')}); without a display MuJoCo draws through "
        "EGL or OSMesa: apt install libegl1 or libosmesa6, and set MUJOCO_GL=egl or osmesa"
    )


def _choose_headless_gl() -> None:
    """Let MuJoCo draw without a display; it reads this when it is imported."""
    # What OpenGL lacks is said in one line; PyOpenGL would say it in several.
    logging.getLogger("OpenGL").setLevel(logging.CRITICAL)
    if "MUJOCO_GL" in os.environ or not sys.platform.startswith("linux") or _has_display():
        return
    for library, name in (("EGL", "egl"), ("OSMesa", "osmesa")):
        if ctypes.util.find_library(library):
            os.environ["MUJOCO_GL"] = name
            return


def _has_display() -> bool:
    return not sys.platform.startswith("linux") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )


def main() -> int:
    """Run the entry point; returns the exit code."""
    return cli.run(cli.EntryPoint("play", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
