from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stable_baselines3 import DQN

from rlcompress.sb3 import drawing
from rlcompress.sb3.drawing import DrawCallback, GifCanvas, WindowCanvas, open_canvas
from rlcompress.sb3.environments import make_training_env
from tests.sb3.odd_envs import OddEnv, register


def model(env_id: str, n_envs: int = 1, render_mode: str | None = "rgb_array") -> DQN:
    env = make_training_env(env_id, n_envs, render_mode=render_mode)
    return DQN("MlpPolicy", env, learning_starts=1000, seed=0)


def frames(path: Path) -> list[int]:
    """The gray level of each frame of a file."""
    with Image.open(path) as file:
        found = []
        for i in range(file.n_frames):
            file.seek(i)
            found.append(int(np.asarray(file.convert("L")).mean().round()))
    return found


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


@pytest.mark.parametrize(("n_envs", "expected"), [(1, [10, 20, 30, 40]), (4, [3, 5, 8, 10])])
def test_every_nth_step_is_drawn(n_envs: int, expected: list[int], tmp_path: Path) -> None:
    # The environment draws the number of steps it has taken as a gray level.
    env_id = register("drawn", length=200)
    model(env_id, n_envs).learn(45, callback=DrawCallback(10, tmp_path / "drawing"))
    first = {1: 10, 4: 12}[n_envs]
    files = list((tmp_path / "drawing").iterdir())
    assert [file.name for file in files] == [f"step-{first:09d}.gif"]
    assert frames(files[0]) == expected


def test_files_hold_a_limited_number_of_small_frames(tmp_path: Path) -> None:
    canvas = GifCanvas(tmp_path)
    for step in range(250):
        canvas.show(step, np.full((400, 600, 3), step, np.uint8))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-000000000.gif",
        "step-000000100.gif",
    ]
    canvas.close()
    canvas.close()
    assert frames(tmp_path / "step-000000200.gif") == list(range(200, 250))
    with Image.open(tmp_path / "step-000000000.gif") as file:
        assert file.size == (300, 200)


def test_without_a_display_frames_go_to_files(tmp_path: Path) -> None:
    assert isinstance(open_canvas(tmp_path), GifCanvas)


def test_with_a_display_frames_go_to_a_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pygame = pytest.importorskip("pygame")
    monkeypatch.setattr(drawing, "_has_display", lambda: True)
    canvas = open_canvas(tmp_path)
    assert isinstance(canvas, WindowCanvas)
    frame = np.zeros((20, 30, 3), np.uint8)
    frame[5, 7] = (10, 20, 30)
    canvas.show(42, frame)
    surface = pygame.display.get_surface()
    assert surface.get_size() == (30, 20)
    assert surface.get_at((7, 5))[:3] == (10, 20, 30)
    assert pygame.display.get_caption()[0] == "step 42"
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    canvas.show(43, frame)
    canvas.show(44, frame)
    assert pygame.display.get_surface() is None
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_drawn_is_an_error_before_training(tmp_path: Path) -> None:
    blind = model(register("blind"), render_mode=None)
    with pytest.raises(ValueError, match=r"render_mode='rgb_array'.* gave NoneType"):
        blind.learn(10, callback=DrawCallback(2, tmp_path))
    assert blind.num_timesteps == 0


def test_a_renderer_that_fails_is_an_error_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: OddEnv) -> None:
        raise RuntimeError("no OpenGL here")

    monkeypatch.setattr(OddEnv, "render", fail)
    with pytest.raises(ValueError, match=r"no OpenGL here; draw_every=0 .*MUJOCO_GL=egl"):
        model(register("failing")).learn(10, callback=DrawCallback(2, tmp_path))


def test_every_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        DrawCallback(0, tmp_path)
