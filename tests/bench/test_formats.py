"""The comparison of formats: what it counts, what it refuses, and a run of it from the command."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rlcompress.artifact import Action, AnyArray, CompressedPolicy, Observation
from rlcompress.bench import formats
from rlcompress.bench.format_parity import Tally
from rlcompress.bench.format_policies import Recorded, Recording, env_of, find, record
from rlcompress.bench.formats import worst
from rlcompress.runtime.reference import Reference
from tests.policies import random_observations
from tests.policy_builder import Builder

AGENTS = Path(__file__).parents[3] / "shared" / "agents"

Bench = Callable[..., int]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["formats", *words])
        return formats.main()

    yield run


def policy_with(action: Action, outputs: int) -> CompressedPolicy:
    builder = Builder(np.random.default_rng(0), Observation((4,)), sparsity=0.3)
    builder.dense(8)
    builder.dense(6)
    builder.dense(outputs, "none", final=True)
    policy = builder.policy(action)
    return replace(policy, meta={"env_id": "CartPole-v1"})


def expected_of(policy: CompressedPolicy, seen: AnyArray) -> tuple[list[AnyArray], AnyArray]:
    reference = Reference(policy)
    return reference.values(seen), reference(seen)


SEEN = np.random.default_rng(1).normal(0, 1, (40, 4)).astype(np.float32)
CONTINUOUS = policy_with(Action("clip", (2,), np.float32([-9, -9]), np.float32([9, 9])), 2)


def test_what_is_equal_holds_for_every_likeness() -> None:
    values, actions = expected_of(CONTINUOUS, SEEN)
    for likeness in ("exact", "steps", "float"):
        tally = Tally(CONTINUOUS, likeness)
        tally.add(values, actions, (values[-1].copy(), actions.copy(), {1: values[1]}))
        row = tally.row()
        assert row["holds"] and row["not_bit_equal"] == 0 and row["activations_differ"] == 0
        assert (row["observations"], row["activations"]) == (40, values[1].size)
        assert row["action_difference"] == 0.0


@pytest.mark.parametrize(
    ("by", "holds"),
    [
        (0.5, {"exact": False, "steps": True, "float": False}),
        (1.5, {"exact": False, "steps": False, "float": False}),
        (1e-3, {"exact": False, "steps": True, "float": True}),
    ],
)
def test_outputs_may_be_off_by_what_the_likeness_allows(by: float, holds: dict[str, bool]) -> None:
    values, actions = expected_of(CONTINUOUS, SEEN)
    step = np.abs(values[-1]).max() / 127
    outputs = values[-1].copy()
    outputs[7, 1] += by * step
    for likeness in ("exact", "steps", "float"):
        tally = Tally(CONTINUOUS, likeness)
        for half in (slice(0, 20), slice(20, 40)):
            tally.add(
                [value[half] for value in values], actions[half], (outputs[half], actions[half], {})
            )
        row = tally.row()
        assert row["holds"] == holds[likeness], likeness
        assert row["output_steps"] == pytest.approx(by, rel=0.05)
        assert (row["not_bit_equal"], row["beyond_one_step"]) == (1, int(by > 1))


def test_only_the_first_activation_is_held_to_one_step() -> None:
    values, actions = expected_of(CONTINUOUS, SEEN)

    def row(first: int, second: int) -> dict[str, object]:
        inner = {1: values[1].astype(np.int16), 2: values[2].astype(np.int16)}
        inner[1][3, 0] += first
        inner[2][3, 1] += second
        tally = Tally(CONTINUOUS, "steps")
        tally.add(values, actions, (values[-1], actions, inner))
        return tally.row()

    assert row(1, 2)["holds"] and row(1, 2)["following_steps"] == 2
    assert row(1, 2)["activations_differ"] == 2 and row(1, 2)["observations_touched"] == 1
    assert not row(0, 2)["holds"] and row(0, 2)["activation_steps"] == 2
    assert not row(2, 0)["holds"]


def test_other_actions_are_explained_only_where_the_best_are_close() -> None:
    policy = policy_with(Action("argmax"), 3)
    values, actions = expected_of(policy, SEEN)
    outputs = np.zeros_like(values[-1])
    outputs[:, 0], outputs[:, 1] = 127.0, 0.0
    outputs[5, 1] = 126.5  # Half a step behind.
    values, actions = [*values[:-1], outputs], np.zeros_like(actions)
    for row, holds in ((5, True), (6, False)):
        other = actions.copy()
        other[row] = 1
        tally = Tally(policy, "steps")
        tally.add(values, actions, (outputs, other, {}))
        found = tally.row()
        assert found["holds"] is holds and found["actions_differ"] == 1
        assert (found["explained"], found["too_close_to_tell"]) == (int(holds), 1)


def test_the_worst_of_several() -> None:
    rows = [
        {"form": "C99", "observations": 5, "output_steps": 0.5, "actions_differ": 1, "holds": True},
        {"form": "C99", "observations": 6, "output_steps": 0.2, "holds": False},
        {"form": "missing", "note": "needs a compiler"},
    ]
    (row,) = worst(rows)
    assert row["observations"] == 11 and row["output_steps"] == 0.5 and row["holds"] == "1 of 2"
    assert (row["policies"], row["actions_differ"]) == (2, 1)


def test_environments_are_found(tmp_path: Path) -> None:
    policy = replace(CONTINUOUS, meta={})
    how = Recording(1)
    assert env_of(Path("dqn-CartPole-v1.zip"), policy, how) == "CartPole-v1"
    assert env_of(Path("actor.rlc"), CONTINUOUS, how) == "CartPole-v1"
    assert env_of(Path("CartPole-v1.rlc"), policy, Recording(1, "CartPole-v0")) == "CartPole-v0"
    swimmer = replace(policy, observation=Observation((8,)))
    assert env_of(Path("sac-Swimmer-v3.zip"), swimmer, how) == "Swimmer-v4"
    with pytest.raises(ValueError, match="Pendulum-v1 has observations of shape"):
        env_of(Path("ppo-Pendulum-v1.zip"), policy, how)
    with pytest.raises(ValueError, match=r"no environment to record in .*say env=<id>"):
        env_of(Path("mine.zip"), policy, how)
    with pytest.raises(ValueError, match="nothing matches"):
        find([str(tmp_path / "*.zip")])


def test_the_command_compares_every_form(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    policy = policy_with(Action("argmax"), 2)
    policy.save(tmp_path / "mine.rlc")
    assert (
        bench(f"policies={tmp_path}/*.rlc", "steps=60", "block=25", f"out={tmp_path}/o.json") == 0
    )
    rows = {row["form"]: row for row in json.loads((tmp_path / "o.json").read_text())["rows"]}
    exact = ["rlc, engine", *(["C99"] if shutil.which("gcc") else [])]
    for form in exact:
        assert rows[form]["not_bit_equal"] == 0 and rows[form]["observations"] == 60
    int8 = rows["ONNX int8, onnxruntime"]
    assert int8["holds"] and int8["activations"] == 60 * (8 + 6)
    assert rows["ONNX float, onnxruntime"]["holds"]
    assert "mine in CartPole-v1, 60 observations" in capsys.readouterr().out


def test_activations_of_image_policies_are_compared_where_they_lie() -> None:
    """Channels come first in ONNX, and flattened images have another order there."""
    pytest.importorskip("onnxruntime")
    builder = Builder(np.random.default_rng(3), Observation((12, 12, 4), True, False, 1 / 255))
    builder.conv(6, (3, 3), stride=(2, 2))
    builder.flatten()
    builder.dense(8)
    builder.dense(3, "none", final=True)
    policy = builder.policy(Action("argmax"))
    seen = random_observations(np.random.default_rng(4), policy.observation, 40)
    rows = formats.compare(Recorded("a", "none", policy, seen), 16, ["int8"])
    for row in (row for row in rows if "holds" in row):
        assert row["holds"] and row["activations"] == 40 * (5 * 5 * 6 + 8)


@pytest.mark.skipif(not AGENTS.is_dir(), reason="the agents are not here")
def test_zips_are_compared_as_they_are_and_quantised() -> None:
    as_it_is, quantised = record(AGENTS / "a2c-Pendulum-v1.zip", Recording(50))
    assert as_it_is.policy.observation.mean is not None  # Statistics lie beside the zip.
    assert all(op.weight.dtype == np.float32 for op in as_it_is.policy.linears)
    assert all(op.weight.dtype == np.int8 for op in quantised.policy.linears)
    assert as_it_is.observations.shape == (50, 3)
    for recorded in (as_it_is, quantised):
        rows = formats.compare(recorded, block=50)
        assert len(rows) == 8 and all(row["holds"] for row in rows if "holds" in row)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "policies is missing"),
        (["policies=none.rlc"], "nothing matches 'none.rlc'"),
        (["policies=tests", "steps=0"], "steps must be at least 1"),
        (["policies=tests", "forms=onnx,rust"], "forms must be parts of rlc, engine; C99;"),
    ],
)
def test_wrong_requests_are_one_line(
    words: list[str], said: str, bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    assert bench(*words) == 2
    err = capfd.readouterr().err
    assert said in err and err.count("\n") == 1


def test_forms_are_chosen_by_parts_of_their_names(bench: Bench, tmp_path: Path) -> None:
    policy_with(Action("argmax"), 2).save(tmp_path / "a.rlc")
    words = [f"policies={tmp_path}/a.rlc", "steps=5", f"out={tmp_path}/o.json"]
    assert bench(*words, "forms=ENGINE") == 0
    rows = json.loads((tmp_path / "o.json").read_text())["rows"]
    assert [row["form"] for row in rows] == ["rlc, reference", "rlc, engine"]


def test_a_policy_that_cannot_be_compared_is_said_and_the_others_are(
    bench: Bench, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.rlc").write_bytes(b"nothing of ours")
    policy_with(Action("argmax"), 2).save(tmp_path / "b.rlc")
    assert bench(f"policies={tmp_path}/a.rlc,{tmp_path}/b.rlc", "steps=5") == 1
    out, err = capfd.readouterr()
    assert "a.rlc: it is not an .rlc file" in out or "cannot load" in out
    assert "b in CartPole-v1" in out and "1 of 2 could not be compared" in err
