"""The engine in closed loops: bit for bit the reference on what an environment shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rlcompress.artifact import Action, CompressedPolicy, Observation
from tests.artifact.networks import hopper
from tests.policy_builder import Builder, as_float32
from tests.runtime.native import ROOT
from tests.runtime.play import play

pytest.importorskip("rlcompress.runtime._engine", reason="built without a compiler")


def nature_cnn() -> CompressedPolicy:
    """NatureCNN at 95 % with the weights of a seed."""
    observation = Observation((84, 84, 4), True, False, as_float32(1 / 255))
    builder = Builder(np.random.default_rng(0), observation, sparsity=0.95)
    builder.conv(32, (8, 8), stride=(4, 4))
    builder.conv(64, (4, 4), stride=(2, 2))
    builder.conv(64, (3, 3))
    builder.flatten()
    builder.dense(512)
    builder.dense(6, "none", final=True)
    return builder.policy(Action("argmax"))


def test_some_episodes_of_hopper() -> None:
    pytest.importorskip("mujoco")
    played = play(hopper(0.98), "Hopper-v4", episodes=2)
    assert len(played.returns) == 2 and played.steps > 2


@pytest.mark.parametrize("reuse", [False, True])
def test_some_steps_of_pong(reuse: bool) -> None:
    pytest.importorskip("ale_py")
    assert play(nature_cnn(), "PongNoFrameskip-v4", steps=60, reuse=reuse).steps == 60


def trained(folder: Path, *words: str) -> Path:
    """The artifact of a short training run."""
    command = [sys.executable, "-m", "rlcompress.train", "budget=smoke", "quant=true", *words]
    done = subprocess.run(
        [*command, f"hydra.run.dir={folder}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "actor.rlc"


@pytest.mark.slow
@pytest.mark.parametrize("reuse", [False, True])
def test_twenty_episodes_of_a_trained_hopper(reuse: bool, tmp_path: Path) -> None:
    artifact = trained(tmp_path, "env=Hopper-v4", "sparsity=0.98")
    played = play(CompressedPolicy.load(artifact), "Hopper-v4", episodes=20, reuse=reuse)
    assert len(played.returns) == 20


@pytest.mark.slow
@pytest.mark.parametrize("reuse", [False, True])
def test_twenty_thousand_steps_of_a_trained_pong(reuse: bool, tmp_path: Path) -> None:
    artifact = trained(tmp_path, "env=PongNoFrameskip-v4", "sparsity=0.95")
    policy = CompressedPolicy.load(artifact)
    assert play(policy, "PongNoFrameskip-v4", steps=20_000, reuse=reuse).steps == 20_000
