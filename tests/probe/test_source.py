"""What the probe and the player can be pointed at, and what they say of anything else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rlcompress.artifact import CompressedPolicy
from rlcompress.probe.contenders import open_contenders
from rlcompress.probe.sizes import forms
from rlcompress.probe.source import made_up, open_source
from rlcompress.probe.stream import played
from tests.probe.subjects import subject_of


def policy_of(kind: str = "mlp", **meta: object) -> CompressedPolicy:
    return replace(subject_of(kind).policy, meta=dict(meta))


def test_an_artifact(tmp_path: Path) -> None:
    policy_of(env_id="Hopper-v4").save(tmp_path / "some.rlc")
    source = open_source(tmp_path / "some.rlc")
    assert (source.kind, source.name, source.model_path) == ("artifact", "Hopper-v4", None)
    assert source.beside(".png") == tmp_path / "some.probe.png"
    about = source.describe()
    assert about["kept"] <= about["weights"] and about["env_id"] == "Hopper-v4"
    np.testing.assert_array_equal(
        source.subject().observations, subject_of("mlp").policy.golden.observations
    )


def test_a_run_directory(tmp_path: Path) -> None:
    policy_of().save(tmp_path / "actor.rlc")
    source = open_source(tmp_path)
    assert source.kind == "run" and source.name == tmp_path.stem
    assert source.beside(".json") == tmp_path / "probe.json"


def test_an_artifact_knows_the_zip_beside_it(tmp_path: Path) -> None:
    policy_of().save(tmp_path / "actor.rlc")
    (tmp_path / "actor.zip").write_bytes(b"only its name is looked at")
    assert open_source(tmp_path / "actor.rlc").model_path == tmp_path / "actor.zip"


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_golden_data_are_made_up_where_there_are_none(tmp_path: Path, kind: str) -> None:
    policy = replace(policy_of(kind), golden=None)
    policy.save(tmp_path / "bare.rlc")
    seen = open_source(tmp_path / "bare.rlc").subject().observations
    assert seen.shape == (16, *policy.observation.shape)
    np.testing.assert_array_equal(seen, made_up(policy, 16))


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        open_source(tmp_path / "nothing")
    with pytest.raises(ValueError, match="holds no finished run"):
        open_source(tmp_path)
    (tmp_path / "text.rlc").write_text("hello")
    with pytest.raises(ValueError, match=r"cannot load .*text\.rlc"):
        open_source(tmp_path / "text.rlc")
    (tmp_path / "text.zip").write_text("hello")
    with pytest.raises(ValueError, match="not a Stable-Baselines3 zip"):
        open_source(tmp_path / "text.zip")


def test_bytes_of_forms() -> None:
    subject = subject_of("mlp")
    found = {row["form"]: row["size_bytes"] for row in forms(subject)}
    assert "sb3_zip" not in found
    assert {"dense_float32", "rlc", "rlc_policy", "engine_image", "c_data"} <= set(found)
    assert 0 < found["rlc_policy"] < found["rlc"] == len(subject.policy.to_bytes())


@pytest.mark.parametrize(
    ("meta", "count", "said"),
    [
        ({}, 5, "does not name its environment"),
        ({"env_id": "Nowhere-v0"}, 5, "Nowhere-v0 cannot be made"),
        ({"env_id": "Pendulum-v1"}, 5, r"of shape \(3,\) here"),
        ({"env_id": "Pendulum-v1"}, 0, "golden observations, in turn"),
    ],
)
def test_where_there_is_nothing_to_play(meta: dict[str, object], count: int, said: str) -> None:
    import re

    found, why = played(policy_of("mlp", **meta), count, 0)
    assert found is None
    assert re.search(said, why)


def test_two_artifacts_play_against_each_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        policy_of(env_id="Hopper-v4").save(tmp_path / f"{name}.rlc")
    alone = open_contenders(tmp_path / "a.rlc", None)
    assert len(alone.players) == 1 and alone.env_id == "Hopper-v4"
    assert alone.beside(".mp4") == tmp_path / "a.play.mp4"
    both = open_contenders(tmp_path / "a.rlc", tmp_path / "b.rlc")
    observation = subject_of("mlp").observations[:1]
    assert both.players[0].shape == observation.shape[1:]
    actions = [one.predict(observation)[0] for one in both.players]
    np.testing.assert_array_equal(actions[0], actions[1])
