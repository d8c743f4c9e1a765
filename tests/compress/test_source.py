import base64
import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rlcompress.compress.source import (
    WARNING,
    check_pair,
    load_model,
    load_observations,
    load_statistics,
    read_model,
)
from rlcompress.sb3.env_spec import describe
from tests.sb3.models import make_model


def saved(path, name="DQN", **changes):
    make_model(name, **changes).save(path)
    return path


def with_entry(path, name, packed):
    """The zip at ``path`` with a pickled entry of its data replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for item in old.namelist():
            content = old.read(item)
            if item == "data":
                data = json.loads(content)
                entry = {":type:": "x", ":serialized:": base64.b64encode(packed).decode()}
                data[name] = entry
                content = json.dumps(data).encode()
            new.writestr(item, content)
    path.write_bytes(out.getvalue())


# A pickle that asks for a class of a module that is not there.
MISSING = b"cno_such_module\nThing\n."


def test_the_warning_comes_before_the_pickle(tmp_path):
    path = saved(tmp_path / "dqn.zip")
    with_entry(path, "policy_kwargs", MISSING)
    said = []
    with pytest.raises(ValueError, match="policy_kwargs"):
        load_model(path, "cpu", said.append)
    assert said == [f"{path} {WARNING}"]


def test_a_missing_class_is_named_with_what_to_pass(tmp_path):
    path = saved(tmp_path / "dqn.zip")
    with_entry(path, "policy_kwargs", MISSING)
    with pytest.raises(ValueError, match=r"no_such_module.*custom_objects=\{'policy_kwargs'"):
        read_model(path, "cpu")


def test_entries_that_inference_does_not_need_may_be_broken(tmp_path):
    path = saved(tmp_path / "dqn.zip")
    with_entry(path, "_last_obs", MISSING)
    with_entry(path, "my_callback", MISSING)
    model = read_model(path, "cpu")
    observation = model.observation_space.sample()
    expected = make_model("DQN").predict(observation, deterministic=True)[0]
    assert model.predict(observation, deterministic=True)[0] == expected


def test_no_zip_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.zip is no file"):
        load_model(tmp_path / "nothing.zip", "cpu", print)
    (tmp_path / "text.zip").write_text("text")
    with pytest.raises(ValueError, match="is not a Stable-Baselines3 zip"):
        read_model(tmp_path / "text.zip", "cpu")


@pytest.mark.parametrize(
    ("name", "env", "said"),
    [
        ("DQN", "Pendulum-v1", r"observations of shape \(3,\).*\(4,\)"),
        ("DQN", "MountainCar-v0", r"observations of shape \(2,\)"),
        ("SAC", "CartPole-v1", r"observations of shape \(4,\)"),
    ],
)
def test_wrong_pairs(name, env, said):
    with pytest.raises(ValueError, match=said):
        check_pair(make_model(name), describe(env))


def test_wrong_actions():
    model = make_model("DQN")
    model.action_space = describe("Acrobot-v1").action_space
    with pytest.raises(ValueError, match=r"actions of Discrete\(2\).*Discrete\(3\)"):
        check_pair(model, describe("CartPole-v1"))
    model = make_model("SAC")
    model.action_space = type(model.action_space)(-1.0, 1.0, (1,))
    with pytest.raises(ValueError, match="takes actions of"):
        check_pair(model, describe("Pendulum-v1"))


def test_right_pairs():
    check_pair(make_model("DQN"), describe("CartPole-v1"))
    check_pair(make_model("SAC"), describe("Pendulum-v1"))


def statistics_of(model, path):
    env = DummyVecEnv([lambda: __import__("gymnasium").make("Pendulum-v1")])
    normalise = VecNormalize(env)
    normalise.reset()
    normalise.save(str(path))
    return normalise


def test_statistics(tmp_path):
    statistics_of(None, tmp_path / "stats.pkl")
    found = load_statistics(tmp_path / "stats.pkl", make_model("SAC"))
    assert not found.training
    with pytest.raises(ValueError, match=r"for observations of shape \(3,\)"):
        load_statistics(tmp_path / "stats.pkl", make_model("DQN"))
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(ValueError, match="holds a list"):
        load_statistics(tmp_path / "list.pkl", make_model("SAC"))
    with pytest.raises(ValueError, match="cannot be read"):
        load_statistics(tmp_path / "none.pkl", make_model("SAC"))


def test_observations(tmp_path):
    model = make_model("DQN")
    rows = np.random.default_rng(0).normal(size=(9, 4))
    for name in ("observations", "obs", "anything"):
        np.savez(tmp_path / "log.npz", **{name: rows})
        found = load_observations(tmp_path / "log.npz", model, None)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, rows, rtol=1e-6)
    np.savez(tmp_path / "two.npz", a=rows, b=rows)
    with pytest.raises(ValueError, match="an array named 'observations', it has a, b"):
        load_observations(tmp_path / "two.npz", model, None)
    np.savez(tmp_path / "wide.npz", rows[:, :3])
    with pytest.raises(ValueError, match=r"\(4,\)"):
        load_observations(tmp_path / "wide.npz", model, None)
    np.savez(tmp_path / "nan.npz", np.full((4, 4), np.nan))
    with pytest.raises(ValueError, match="not finite"):
        load_observations(tmp_path / "nan.npz", model, None)
    np.save(tmp_path / "scalar.npy", np.float32(1))
    np.save(tmp_path / "text.npy", np.array([["a", "b"], ["c", "d"]]))
    for name in ("scalar", "text"):
        with pytest.raises(ValueError, match="must be numbers of shape"):
            load_observations(tmp_path / f"{name}.npy", model, None)
    (tmp_path / "empty.npy").write_bytes(b"")
    with pytest.raises(ValueError, match="cannot be read"):
        load_observations(tmp_path / "empty.npy", model, None)
    np.savez(tmp_path / "object.npz", np.array([{}, {}], dtype=object))
    with pytest.raises(ValueError, match="cannot be read"):
        load_observations(tmp_path / "object.npz", model, None)
