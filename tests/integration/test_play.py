"""The player from its command line to a video."""

from __future__ import annotations

import ctypes.util
import logging
import os
import subprocess
import sys

import cv2
import gymnasium
import numpy as np
import pytest
from PIL import Image
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rlcompress import play
from rlcompress.evaluation.players import Player
from rlcompress.evaluation.video import Pane, open_video, side_by_side
from rlcompress.export.freeze import freeze
from rlcompress.probe.contenders import open_contenders
from tests.probe.subjects import subject_of
from tests.sb3.models import make_model


@pytest.fixture(scope="module")
def pendulum(tmp_path_factory):
    path = tmp_path_factory.mktemp("pendulum") / "sac.zip"
    SAC("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [8]}, buffer_size=10).save(path)
    return path


@pytest.fixture
def run(monkeypatch):
    def command(*words):
        monkeypatch.setattr(sys, "argv", ["play", *words])
        return play.main()

    yield command
    # Hydra leaves handlers behind that write to this test's captured output.
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.WARNING)


def test_model_and_its_frozen_form_side_by_side(run, pendulum, tmp_path, capsys):
    out = tmp_path / "two.gif"
    words = ("max_steps=13", "draw_every=3", "side=64", "episodes=2", "env=Pendulum-v1")
    assert run(f"run={pendulum}", f"out={out}", *words) == 0
    with Image.open(out) as picture:
        assert picture.n_frames <= 2 * 5 and picture.n_frames > 1
        assert picture.size == (2 * 64 + 4, 64 + 34)
    printed = capsys.readouterr().out
    assert "sac.zip: SB3" in printed and "compressed: 0% zeros" in printed
    assert "13, 13" in printed
    assert "Time: emulator" in printed and "draw_every=3" in printed
    assert f"{out}: " in printed
    assert list(tmp_path.iterdir()) == [out]


def test_a_zip_sees_what_the_policy_beside_it_sees(tmp_path):
    """Normalised, where that normalises inside."""
    env = VecNormalize(DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")]))
    model = make_model("PPO", env)
    model.learn(64)
    model.save(tmp_path / "ppo.zip")
    freeze(model, vec_normalize=env).save(tmp_path / "policy.rlc")
    players = open_contenders(tmp_path / "policy.rlc", tmp_path / "ppo.zip").players
    raw = np.array([[0.3, -0.9, 4.0]], np.float32)
    theirs, ours = (player.predict(raw, deterministic=True)[0] for player in players)
    np.testing.assert_allclose(theirs, ours, atol=1e-5)
    plain = model.predict(raw, deterministic=True)[0]
    assert np.abs(plain - ours).max() > 1e-3


def test_without_a_display_a_run_gets_a_video(run, small_run, monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert run(f"run={small_run}", "max_steps=6", "side=64") == 0
    video = small_run / "play.mp4"
    reader = cv2.VideoCapture(str(video))
    assert reader.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert reader.get(cv2.CAP_PROP_FRAME_HEIGHT) == 64 + 34
    reader.release()
    video.unlink()
    printed = capsys.readouterr().out
    assert "dense best: SB3" in printed and "compressed: 80" in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "run is missing"),
        (["run=nowhere"], "run=nowhere does not exist"),
        (["run={zip}", "against=nowhere"], "nowhere does not exist"),
        (["run={zip}", "env=Hoper-v4"], "nearest: Hopper-v4"),
        (["run={zip}", "env=CartPole-v1"], "gives observations of shape (4,), but the policy"),
        (["run={rlc}"], "does not say which environment it is for; give env=<id>"),
        (["run={zip}", "env=Pendulum-v1", "out=x.avi"], "out must end in .mp4 or .gif"),
        (["run={zip}", "env=Pendulum-v1", "out=/no/such/x.gif"], "there is no directory"),
        (["run={zip}", "draw_every=0"], "draw_every must be at least 1, got 0"),
        (["run={zip}", "episodes=0"], "episodes must be at least 1, got 0"),
        (["run={zip}", "side=3"], "side must be at least 64, got 3"),
        (["run={zip}", "fps=0"], "fps must be above 0"),
        (["run={zip}", "draw_evry=2"], "did you mean draw_every"),
    ],
)
def test_a_wrong_request(run, pendulum, tmp_path, words, said, capsys):
    subject_of("mlp").policy.save(tmp_path / "some.rlc")
    names = {"zip": pendulum, "rlc": tmp_path / "some.rlc"}
    assert run(*(word.format(**names) for word in words)) == 2
    captured = capsys.readouterr().err
    assert said in captured
    assert captured.startswith("error: ") and captured.count("\n") == 1


def in_a_process(gl, *words):
    environment = {k: v for k, v in os.environ.items() if "DISPLAY" not in k}
    command = [sys.executable, "-m", "rlcompress.play", *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment | gl
    )


@pytest.mark.skipif(ctypes.util.find_library("OSMesa") is not None, reason="OSMesa is there")
def test_no_opengl_is_one_line(tmp_path):
    subject_of("mlp").policy.save(tmp_path / "some.rlc")
    words = (f"run={tmp_path / 'some.rlc'}", "env=Hopper-v4", f"out={tmp_path / 'x.gif'}")
    done = in_a_process({"MUJOCO_GL": "osmesa"}, *words)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "apt install libegl1 or libosmesa6" in done.stderr


@pytest.mark.skipif(ctypes.util.find_library("EGL") is None, reason="no EGL")
def test_mujoco_draws_without_a_display(tmp_path):
    zipped, out = tmp_path / "sac.zip", tmp_path / "x.gif"
    SAC("MlpPolicy", "Hopper-v4", policy_kwargs={"net_arch": [4]}, buffer_size=10).save(zipped)
    words = (f"run={zipped}", "env=Hopper-v4", f"out={out}", "max_steps=2", "side=64")
    done = in_a_process({}, *words)
    assert done.returncode == 0, done.stderr
    with Image.open(out) as picture:
        assert np.asarray(picture.convert("RGB")).std() > 10


def test_a_player_accounts_for_its_time_and_returns():
    from rlcompress.sb3.environments import make_evaluation_env

    env = make_evaluation_env("Pendulum-v1", render_mode="rgb_array", max_episode_steps=4)
    player = Player("still", lambda observation, deterministic: (np.zeros((1, 1)), None), env)
    player.begin()
    first = player.draw()
    assert first.subtitle == "return 0.0, 0 steps"
    while not player.finished:
        player.step()
    assert player.lengths == [4] and player.returns[0] < 0
    assert player.draw().subtitle.endswith("4 steps, ended")
    assert min(player.spent.emulator, player.spent.network, player.spent.drawing) > 0
    env.close()


def test_panes_are_scaled_to_one_height():
    tall, wide = np.full((210, 160, 3), 200, np.uint8), np.full((480, 480, 3), 90, np.uint8)
    picture = side_by_side([Pane(tall, "a", "1"), Pane(wide, "b", "2")], 101)
    assert picture.shape == (100 + 34, 76 + 4 + 100, 3)
    assert (picture[-1, :76] == 200).all() and (picture[-1, 80:] == 90).all()
    assert (picture[:34] > 150).any()


@pytest.mark.parametrize("ending", [".gif", ".mp4"])
def test_an_unfinished_video_leaves_no_file(tmp_path, ending):
    video = open_video(tmp_path / f"x{ending}", 25.0)
    video.add(np.zeros((64, 64, 3), np.uint8))
    assert not (tmp_path / f"x{ending}").exists()
    video.close()
    assert (tmp_path / f"x{ending}").stat().st_size > 0
    assert len(list(tmp_path.iterdir())) == 1
