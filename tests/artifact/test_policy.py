import json
from dataclasses import replace

import numpy as np
import pytest

from rlcompress.artifact import Action, CompressedPolicy, Observation, TensorType
from rlcompress.artifact.codec import LAYOUTS
from rlcompress.artifact.records import Activation
from tests.artifact.networks import hopper, nature_cnn
from tests.policies import random_policy


def test_summary_counts_what_is_there():
    policy = hopper(0.98)
    summary = policy.summary()
    weights = 256 * 11 + 256 * 256 + 3 * 256
    kept = sum(np.count_nonzero(op.weight) for op in policy.linears)
    assert summary["weights"] == summary["stored_weights"] == weights
    assert summary["kept"] == summary["stored_kept"] == kept == 1383
    assert summary["sparsity"] == pytest.approx(0.98, abs=1e-4)
    assert summary["dense_bytes"] == 4 * (weights + 515)
    assert summary["paper_factor"] == pytest.approx(4 / (1 - summary["sparsity"]))
    assert summary["honest_factor"] == summary["dense_bytes"] / policy.size.policy_bytes
    assert summary["total_bytes"] == len(policy.to_bytes())
    assert summary["weight_bytes"] < 1.1 * summary["entropy_bytes"]
    names = ["layers.0", "layers.1", "layers.2"]
    assert [layer["name"] for layer in summary["layers"]] == names
    assert [layer["bits"] for layer in summary["layers"]] == [8, 8, 8]
    assert summary["layers"][1]["shape"] == [256, 256]
    assert summary["layers"][1]["encoding"] == "gaps"
    assert json.loads(json.dumps(summary)) == summary


def test_float_weights_have_the_factor_of_pruning_alone():
    summary = hopper(0.9, quantised=False).summary()
    assert summary["paper_factor"] == pytest.approx(10, rel=1e-3)
    assert [layer["bits"] for layer in summary["layers"]] == [32, 32, 32]


def test_factors_refer_to_the_network_before_dead_units_were_removed():
    dense = {"weights": 2 * 69120, "kept": 2 * 1383, "biases": 1030}
    summary = replace(hopper(0.98), meta={"dense": dense}).summary()
    assert summary["weights"] == 2 * 69120
    assert summary["kept"] == 2 * 1383
    assert summary["stored_weights"] == 69120
    assert summary["dense_bytes"] == 4 * (2 * 69120 + 1030)
    assert summary["paper_factor"] == pytest.approx(4 * 69120 / 1383)


@pytest.mark.parametrize(
    "dense",
    [
        None,
        3,
        {},
        {"weights": 1, "kept": 1, "biases": 1},
        {"weights": 10**6, "kept": 10**7, "biases": 10**6},
        {"weights": 10**6, "kept": True, "biases": 10**6},
        {"weights": 1e6, "kept": 10**5, "biases": 10**6},
    ],
)
def test_incredible_counts_in_meta_are_not_believed(dense):
    policy = hopper(0.98)
    assert replace(policy, meta={"dense": dense}).summary()["weights"] == 69120
    assert replace(policy, meta={"dense": dense}).summary()["kept"] == 1383


def test_a_policy_of_zeros_has_no_factor():
    policy = random_policy(np.random.default_rng(0), "mlp", sparsity=1.0)
    summary = policy.summary()
    assert summary["kept"] == 0 and summary["paper_factor"] is None
    assert summary["weight_bytes"] == 0 and summary["entropy_bytes"] == 0


def test_a_policy_without_weights_has_a_summary():
    ops = (Activation("relu", (0,), TensorType((4,)), "relu"),)
    summary = CompressedPolicy(ops, Observation((4,)), Action("argmax")).summary()
    assert (summary["weights"], summary["sparsity"], summary["paper_factor"]) == (0, 0.0, None)


def test_few_bits_show_in_the_summary():
    policy = random_policy(np.random.default_rng(3), "conv", sparsity=0.0, bits=(3, 8))
    assert {layer.bits for layer in policy.size.layers} == {3}


def test_layers_say_how_they_are_stored():
    size = nature_cnn(0.9).size
    assert {layer.encoding for layer in size.layers} <= {"dense", *LAYOUTS}
    for layer in size.layers:
        assert layer.entropy_bytes <= layer.weight_bytes <= 1.05 * layer.entropy_bytes + 64
    assert sum(layer.kept for layer in size.layers) == size.kept
