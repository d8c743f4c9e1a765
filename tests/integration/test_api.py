"""The public names in a user's own script, with plain Stable-Baselines3 around them."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import rlcompress


def test_ten_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from stable_baselines3 import SAC

    from rlcompress import (
        Engine,
        PruneSpec,
        PruningCallback,
        QATCallback,
        QuantSpec,
        export,
        freeze,
    )
    from rlcompress.spec import PolynomialSchedule

    T = 300
    schedule = PolynomialSchedule(updates=20)
    model = SAC("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [32, 32]}, batch_size=16)
    pruning = PruningCallback(PruneSpec(0.9, schedule), total_timesteps=T)
    model.learn(T + T // 5, callback=[pruning, QATCallback(QuantSpec(), begin=T)])
    policy = freeze(model)
    policy.save("actor.rlc")
    export(policy, "actor.onnx")
    export(policy, "actor.h")
    assert {"actor.onnx", "actor.h", "rlc.c"} <= {path.name for path in tmp_path.iterdir()}
    observation = model.observation_space.sample()
    action, _ = Engine.load("actor.rlc").predict(observation)

    expected, _ = model.predict(observation, deterministic=True)
    np.testing.assert_allclose(action, expected, atol=1e-4)
    layers = [model.actor.latent_pi[0], model.actor.latent_pi[2], model.actor.mu]
    kept = sum(int(torch.count_nonzero(layer.weight)) for layer in layers)
    assert kept == round(0.1 * (3 * 32 + 32 * 32 + 32))
    assert policy.meta["weights_kept"] == kept
    model.save("model.zip")
    assert SAC.load("model.zip").predict(observation)[0].shape == action.shape


@pytest.mark.parametrize("name", rlcompress.__all__)
def test_public_names(name):
    assert getattr(rlcompress, name).__name__.split(".")[-1] == name
    assert name in dir(rlcompress)


def test_unknown_names_are_errors():
    with pytest.raises(AttributeError, match="PruneSpce"):
        _ = rlcompress.PruneSpce


def test_running_an_artifact_imports_no_torch(small_run):
    code = (
        "import sys; sys.modules['torch'] = None; from rlcompress import Engine;"
        f"engine = Engine.load({str(small_run / 'actor.rlc')!r});"
        "print(engine.predict(engine.policy.golden.observations)[0].shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == "(16, 1)\n"
