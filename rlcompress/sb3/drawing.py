"""Draws training now and then: in a window where there is a display, else into small GIFs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback

_LONGEST_SIDE = 320
_FRAMES_PER_FILE = 100
_FRAME_MS = 50

_GL_HINT = (
    "; draw_every=0 trains without drawing, MuJoCo without a display needs MUJOCO_GL=egl or "
    "MUJOCO_GL=osmesa"
)


class Canvas(Protocol):
    """Where frames go."""

    def show(self, step: int, frame: NDArray[np.uint8]) -> None:
        """Take one RGB frame, drawn at ``step``."""

    def close(self) -> None:
        """Show or write what is left."""


class DrawCallback(BaseCallback):
    """Draw the first training environment every ``every`` steps.

    The environments must have been made with ``render_mode="rgb_array"``. Without a display the
    frames go to ``directory``, a hundred to a file. An environment that cannot be drawn is an
    error when training starts, not in the middle of it.
    """

    def __init__(self, every: int, directory: str | os.PathLike[str]) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        self.every = every
        self.directory = Path(directory)
        self._canvas: Canvas | None = None
        self._due = 0

    def _on_training_start(self) -> None:
        try:
            self._frame()
        except ValueError:
            raise
        except Exception as error:
            raise ValueError(f"cannot draw the environment: {error}{_GL_HINT}") from error
        self._canvas = open_canvas(self.directory)
        self._due = self._after(self.num_timesteps)

    def _on_step(self) -> bool:
        if self.num_timesteps >= self._due and self._canvas is not None:
            self._canvas.show(self.num_timesteps, self._frame())
            self._due = self._after(self.num_timesteps)
        return True

    def _on_training_end(self) -> None:
        if self._canvas is not None:
            self._canvas.close()

    def _after(self, step: int) -> int:
        """The first multiple of ``every`` after ``step``."""
        return (step // self.every + 1) * self.every

    def _frame(self) -> NDArray[np.uint8]:
        frame = self.training_env.env_method("render", indices=[0])[0]
        if not isinstance(frame, np.ndarray) or frame.ndim != 3:
            raise ValueError(
                "drawing needs environments made with render_mode='rgb_array', "
                f"render() gave {type(frame).__name__}"
            )
        return frame


def open_canvas(directory: Path) -> Canvas:
    """A window where one can be opened, else files in ``directory``."""
    return WindowCanvas() if _has_display() else GifCanvas(directory)


def _has_display() -> bool:
    try:
        import pygame

        pygame.display.init()
    except Exception:
        return False
    # SDL falls back to drivers that draw into memory.
    visible = pygame.display.get_driver() not in ("offscreen", "dummy")
    pygame.display.quit()
    return visible


class GifCanvas:
    """Frames into animated GIFs, named after the step of their first frame."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._frames: list[Any] = []
        self._first_step = 0

    def show(self, step: int, frame: NDArray[np.uint8]) -> None:
        """Take a frame; a full file is written at once."""
        from PIL import Image

        if not self._frames:
            self._first_step = step
        stride = -(-max(frame.shape[:2]) // _LONGEST_SIDE)
        self._frames.append(Image.fromarray(frame[::stride, ::stride].copy()))
        if len(self._frames) == _FRAMES_PER_FILE:
            self.close()

    def close(self) -> None:
        """Write the frames that are left, beside the file and then renamed."""
        if not self._frames:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"step-{self._first_step:09d}.gif"
        part = path.with_suffix(".part")
        first, *rest = self._frames
        first.save(
            part, format="GIF", save_all=True, append_images=rest, duration=_FRAME_MS, loop=0
        )
        part.replace(path)
        self._frames = []


class WindowCanvas:
    """Frames in a window of their size, which may be closed at any time."""

    def __init__(self) -> None:
        self._screen: Any = None
        self._closed = False

    def show(self, step: int, frame: NDArray[np.uint8]) -> None:
        """Draw a frame, with the step in the title; nothing once the window was closed."""
        import pygame

        if self._closed:
            return
        if self._screen is None:
            pygame.display.init()
            self._screen = pygame.display.set_mode((frame.shape[1], frame.shape[0]))
        if any(event.type == pygame.QUIT for event in pygame.event.get()):
            self.close()
            return
        pygame.display.set_caption(f"step {step}")
        self._screen.blit(pygame.surfarray.make_surface(frame.swapaxes(0, 1)), (0, 0))
        pygame.display.flip()

    def close(self) -> None:
        """Close the window."""
        import pygame

        self._closed = True
        pygame.display.quit()
