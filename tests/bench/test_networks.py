"""Cases are the networks they say, pruned as asked, and come with everything backends need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rlcompress.artifact import Conv, Dense
from rlcompress.bench.networks import NETWORKS, Case, make_case, sparsity_of
from rlcompress.probe.backends import BACKENDS
from rlcompress.probe.gate import check
from rlcompress.probe.registry import Request
from rlcompress.runtime.reference import Reference


@pytest.mark.parametrize(
    ("name", "observations", "actions"),
    [("hopper", 11, 3), ("halfcheetah", 17, 6), ("humanoid", 376, 17)],
)
def test_control_networks(name: str, observations: int, actions: int, tmp_path: Path) -> None:
    policy = make_case(Case(name, 0.0, "erdos_renyi"), tmp_path).policy
    shapes = [op.weight.shape for op in policy.linears]
    assert shapes == [(256, observations), (256, 256), (actions, 256)]
    assert policy.action.kind == "squash" and policy.observation.shape == (observations,)


def test_image_networks(tmp_path: Path) -> None:
    policy = make_case(Case("nature_cnn", 0.95, "uniform"), tmp_path).policy
    kinds = [type(op) for op in policy.linears]
    assert kinds == [Conv, Conv, Conv, Dense, Dense]
    assert policy.observation.shape == (84, 84, 4) and not policy.observation.channels_first
    assert policy.observation.image and policy.values[-1].size == 6
    assert "impala_resnet" in NETWORKS


def test_sparsity_and_allocation_are_those_asked_for(tmp_path: Path) -> None:
    policy = make_case(Case("humanoid", 0.9, "uniform"), tmp_path).policy
    assert sparsity_of(policy) == pytest.approx(0.9, abs=1e-4)
    first = policy.linears[0]
    assert np.mean(first.weight == 0) == pytest.approx(0.9, abs=0.01)
    # Erdos-Renyi leaves small layers denser.
    other = make_case(Case("humanoid", 0.9, "erdos_renyi"), tmp_path).policy
    assert sparsity_of(other) == pytest.approx(0.9, abs=1e-4)
    assert np.mean(other.linears[2].weight == 0) < 0.5


def test_zip_gives_the_actions_of_the_artifact(tmp_path: Path) -> None:
    subject = make_case(Case("hopper", 0.5, "erdos_renyi"), tmp_path)
    assert subject.model_path is not None and subject.model_path.is_file()
    backend = BACKENDS["sb3_predict"]
    runner = backend.load(subject, Request())
    assert check(runner, backend, subject, Request()) < backend.tolerance
    again = make_case(Case("hopper", 0.5, "erdos_renyi"), tmp_path)
    np.testing.assert_array_equal(
        Reference(again.policy).forward(again.observations),
        Reference(subject.policy).forward(subject.observations),
    )


def test_weights_of_a_zip(tmp_path: Path) -> None:
    source = tmp_path / "other.zip"
    first = make_case(Case("halfcheetah", 0.0, "erdos_renyi", seed=3), tmp_path)
    assert first.model_path is not None
    source.write_bytes(first.model_path.read_bytes())
    case = Case("other", 0.8, "erdos_renyi", source)
    assert case.labels["weights"] == "trained"
    subject = make_case(case, tmp_path)
    assert subject.policy.linears[0].weight.shape[1] == 17
    assert sparsity_of(subject.policy) == pytest.approx(0.8, abs=1e-4)


def test_peers_run_what_was_trained_or_what_the_artifact_kept(tmp_path: Path) -> None:
    """At 99 % most units are dead: the artifact has none of them, SB3's network all."""
    case = Case("hopper", 0.99, "uniform")
    whole, compact = (make_case(case, tmp_path, compact=choice) for choice in (False, True))
    trained, kept = whole.floating.linears, whole.policy.linears
    assert [op.weight.shape for op in trained] == [(256, 11), (256, 256), (3, 256)]
    assert kept[0].weight.shape[0] < 256
    assert [op.weight.shape for op in compact.floating.linears] == [op.weight.shape for op in kept]
    np.testing.assert_array_equal(
        Reference(whole.policy).forward(whole.observations),
        Reference(compact.policy).forward(compact.observations),
    )
    np.testing.assert_allclose(
        whole.golden("floating").outputs, compact.golden("floating").outputs, atol=1e-4
    )


def test_stream_is_kept(tmp_path: Path) -> None:
    played = np.random.default_rng(0).normal(size=(40, 11)).astype(np.float32)
    subject = make_case(Case("hopper", 0.5, "erdos_renyi"), tmp_path, observations=played)
    assert subject.timed_on is played and len(subject.observations) < 40
