import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3

from rlcompress.quantization.state import is_prepared
from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.checkpoint import ENTRY, load, replaced_schedules, save
from rlcompress.sb3.quantise import quantise_after_training_
from rlcompress.sb3.replay import CompactReplayBuffer
from rlcompress.spec import QuantSpec

AGENTS = Path(__file__).parents[3] / "shared" / "agents"
CONTINUOUS = {"SAC": SAC, "TD3": TD3, "DDPG": DDPG, "PPO": PPO, "A2C": A2C}


def observations(model, count=32):
    return np.stack([model.observation_space.sample() for _ in range(count)])


def written(model, tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(save(model))
    return path


@pytest.mark.parametrize("algorithm", [*CONTINUOUS, "DQN", "TQC", "QRDQN", "TRPO"])
@pytest.mark.parametrize("ours", [True, False])
def test_the_algorithm_is_found(algorithm, ours, tmp_path):
    if algorithm in ("TQC", "QRDQN", "TRPO"):
        cls = getattr(pytest.importorskip("sb3_contrib"), algorithm)
    else:
        cls = {**CONTINUOUS, "DQN": DQN}[algorithm]
    env = "CartPole-v1" if "DQN" in algorithm else "Pendulum-v1"
    model = cls("MlpPolicy", env, policy_kwargs={"net_arch": [8]}, device="cpu")
    path = tmp_path / "model.zip"
    if ours:
        path.write_bytes(save(model))
    else:
        model.save(path)
    again = load(path)
    assert type(again).__name__ == algorithm
    given = observations(model)
    expected, _ = model.predict(given, deterministic=True)
    assert np.array_equal(again.predict(given, deterministic=True)[0], expected)


def test_buffers_are_left_behind(tmp_path):
    model = SAC(
        "MlpPolicy",
        "Pendulum-v1",
        policy_kwargs={"net_arch": [8]},
        buffer_size=12345,
        replay_buffer_class=CompactReplayBuffer,
    )
    path = written(model, tmp_path)
    assert (model.buffer_size, model.replay_buffer_class) == (12345, CompactReplayBuffer)
    assert SAC.load(path).buffer_size == 1
    with zipfile.ZipFile(path) as archive:
        assert b"rlcompress" not in archive.read("data")


def test_quantisation_comes_back_exactly(tmp_path):
    model = SAC("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [16]}, seed=1)
    given = observations(model, 256)
    spec = QuantSpec(weight_bits=6, skip=("mu",))
    quantise_after_training_(model, spec, given)
    path = written(model, tmp_path)
    expected = model.predict(given, deterministic=True)[0]
    assert np.array_equal(load(path).predict(given, deterministic=True)[0], expected)
    plain = SAC.load(path)
    assert not is_prepared(actor_of(plain).root)
    assert not np.array_equal(plain.predict(given, deterministic=True)[0], expected)


def test_equal_models_make_equal_entries():
    model = DQN("MlpPolicy", "CartPole-v1", policy_kwargs={"net_arch": [8]}, seed=0)
    first, second = (zipfile.ZipFile(io.BytesIO(save(model))) for _ in range(2))
    assert first.namelist() == second.namelist()
    assert first.read(ENTRY) == second.read(ENTRY) == b'{"algorithm": "DQN"}'


def test_constant_clip_ranges_are_kept(tmp_path):
    ranges = {"clip_range": 0.05, "clip_range_vf": 0.3}
    PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, **ranges).save(tmp_path / "ppo.zip")
    model = load(tmp_path / "ppo.zip")
    assert (model.clip_range(1.0), model.clip_range_vf(1.0)) == (0.05, 0.3)
    assert replaced_schedules(tmp_path / "ppo.zip") == {}


def test_other_schedules_are_named_and_replaced(tmp_path):
    schedules = {"clip_range": lambda left: 0.3 * left, "learning_rate": lambda left: 1e-3 * left}
    PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, **schedules).save(tmp_path / "ppo.zip")
    assert replaced_schedules(tmp_path / "ppo.zip") == {"clip_range": 0.2, "learning_rate": 0.0}
    assert load(tmp_path / "ppo.zip").clip_range(1.0) == 0.2


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"])
def test_what_is_no_zip(content, tmp_path):
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(ValueError, match="not a Stable-Baselines3 zip"):
        load(tmp_path / "x.zip")


def test_foreign_zips(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("data", '{"policy_class": {"__module__": "sb3_contrib.ars.policies"}}')
    with pytest.raises(ValueError, match=r"unsupported policy \(of sb3_contrib.ars.policies\)"):
        load(tmp_path / "x.zip")
    with pytest.raises(ValueError, match="no file"):
        load(tmp_path / "none.zip")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("sac-Walker2d-v3", (17,)),
        ("sac-Swimmer-v3", (8,)),
        ("ppo-CartPole-v1", (4,)),
        ("dqn-CartPole-v1", (4,)),
        ("ppo-Pendulum-v1", (3,)),
        ("a2c-Pendulum-v1", (3,)),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_zips_of_older_versions(name, shape):
    path = AGENTS / f"{name}.zip"
    if not path.exists():
        pytest.skip("needs ../shared/agents")
    model = load(path)
    assert type(model).__name__.lower() == name.split("-")[0]
    assert model.observation_space.shape == shape
    actions, _ = model.predict(np.zeros((2, *shape), np.float32), deterministic=True)
    assert len(actions) == 2
