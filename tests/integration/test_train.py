import json
import shlex
import zipfile

import numpy as np
import pytest
import torch
import yaml
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlcompress import CompressedPolicy, Engine
from rlcompress.quantization.state import is_prepared
from rlcompress.runtime import Reference
from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.checkpoint import ENTRY, load
from tests.integration.runs import SMALL, train_main


def rows_of(directory):
    return [json.loads(line) for line in (directory / "eval.jsonl").read_text().splitlines()]


def test_the_directory_describes_itself(small_run):
    config = yaml.safe_load((small_run / ".hydra/config.yaml").read_text())
    assert (config["sparsity"], config["quant"], config["seed"]) == (0.8, True, 3)
    assert "sparsity=0.8" in yaml.safe_load((small_run / ".hydra/overrides.yaml").read_text())
    assert yaml.safe_load((small_run / ".hydra/hydra.yaml").read_text())["hydra"]["run"]
    assert (small_run / "command.txt").read_text().rstrip().endswith("seed=3")
    assert json.loads((small_run / "environment.json").read_text())["packages"]["torch"]
    assert not list(small_run.rglob("*.tmp"))


def test_evaluations_are_labelled_with_the_phase_of_their_policy(small_run):
    rows = rows_of(small_run)
    assert [(row["step"], row["variant"]) for row in rows[::2]] == [
        (60, "dense"),
        (100, "pruning"),
        (200, "pruning"),
        (300, "pruned"),
        (360, "quantised"),
    ]
    assert {(row["env"], row["seed"], row["length"]) for row in rows} == {("Pendulum-v1", 3, 60)}


def test_each_phase_leaves_its_last_and_best_model(small_run):
    for phase, step in (("dense", 60), ("pruned", 300), ("quantised", 360)):
        for which in ("last", "best"):
            model = load(small_run / "phases" / f"{phase}_{which}.zip")
            assert model.num_timesteps == step
            assert is_prepared(actor_of(model).root) == (phase == "quantised")
            weights = [layer.weight for layer in actor_of(model).layers.values()]
            kept = sum(int(torch.count_nonzero(weight)) for weight in weights)
            total = sum(weight.numel() for weight in weights)
            assert kept == (total if phase == "dense" else round(0.2 * total))


def test_the_zip_loads_in_plain_sb3(small_run):
    model = SAC.load(small_run / "actor.zip", device="cpu")
    assert model.replay_buffer_class is ReplayBuffer
    assert model.buffer_size == 1
    assert not is_prepared(model.actor)
    with zipfile.ZipFile(small_run / "actor.zip") as archive:
        assert b"rlcompress" not in archive.read("data")
        assert json.loads(archive.read(ENTRY))["quantisation"]["spec"]["weight_bits"] == 8


def test_the_artifact_runs_and_is_what_the_zip_holds(small_run):
    policy = CompressedPolicy.load(small_run / "actor.rlc")
    golden = policy.golden
    for runner in (Reference(policy), Engine(policy)):
        assert np.array_equal(runner.forward(golden.observations), golden.outputs)
    actions, _ = load(small_run / "actor.zip").predict(golden.observations, deterministic=True)
    np.testing.assert_allclose(actions, golden.actions, atol=1e-4)
    assert policy.meta["env_id"] == "Pendulum-v1"


def test_the_summary_holds_the_table(small_run):
    summary = json.loads((small_run / "summary.json").read_text())
    assert [(row["variant"], row["checkpoint"]) for row in summary["rows"]] == [
        (variant, which)
        for variant in ("dense", "pruned", "quantised", ".rlc")
        for which in ("last", "best")
    ]
    by_name = {row["variant"]: row for row in summary["rows"][::2]}
    assert by_name["dense"]["paper_factor"] == pytest.approx(1)
    assert by_name["quantised"]["paper_factor"] == pytest.approx(20, rel=0.01)
    assert 4 < by_name[".rlc"]["honest_factor"] < 20
    returns = [by_name[name]["return_mean"] for name in (".rlc", "quantised")]
    assert returns[0] == pytest.approx(returns[1], rel=0.01)
    assert summary["parity"]["violations"] == 0
    assert summary["parity"]["observations"] == 64
    assert sum(layer["kept"] for layer in summary["layers"] if not layer["excluded"]) == 134
    assert (summary["total_timesteps"], summary["length"]) == (300, 360)


def test_tensorboard_shows_what_happened(small_run):
    events = EventAccumulator(str(small_run), size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()
    scalars = set(tags["scalars"])
    assert {"eval/return", "pruning/sparsity", "pruning/scheduled_sparsity"} <= scalars
    assert {"pruning_layers/mu", "quantization_error/mu.weight"} <= scalars
    assert "final/rlc_last" in scalars
    assert events.Scalars("pruning/sparsity")[-1].value == pytest.approx(0.8, abs=1e-3)
    assert [e.step for e in events.Scalars("eval/return")] == [60, 100, 200, 300, 360]
    assert "weights/latent_pi.2" in tags["histograms"]
    assert "masks/latent_pi.2" in tags["images"]


def test_the_same_command_gives_the_same_numbers(small_run, tmp_path):
    assert train_main(tmp_path / "again", *SMALL, "sparsity=0.8", "quant=true", "seed=3") == 0
    for name in ("eval.jsonl", "actor.rlc", "phases/pruned_best.rlc"):
        assert (tmp_path / "again" / name).read_bytes() == (small_run / name).read_bytes(), name
    again = json.loads((tmp_path / "again/summary.json").read_text())
    assert again == json.loads((small_run / "summary.json").read_text())


def test_another_seed_gives_other_numbers(small_run, tmp_path):
    assert train_main(tmp_path / "other", *SMALL, "seed=4") == 0
    first, other = (
        next(row["return"] for row in rows_of(d)) for d in (small_run, tmp_path / "other")
    )
    assert first != other


def test_a_sweep_runs_every_combination(tmp_path):
    short = ("total_timesteps=100", "sac.learning_starts=20", "-m", "sparsity=0.5,0.9", "seed=0,1")
    assert train_main(tmp_path, *SMALL, *short) == 0
    found = set()
    for job in "0123":
        summary = json.loads((tmp_path / job / "summary.json").read_text())
        policy = CompressedPolicy.load(tmp_path / job / "actor.rlc")
        total = sum(linear.weight.size for linear in policy.linears)
        assert total <= summary["rows"][0]["weights"]
        found.add((summary["sparsity"], summary["seed"]))
    assert found == {(0.5, 0), (0.5, 1), (0.9, 0), (0.9, 1)}


def test_the_command_can_be_given_again(tmp_path):
    assert train_main(tmp_path, *SMALL, "sac.net_arch=[24, 16]") == 0
    words = shlex.split((tmp_path / "command.txt").read_text())
    assert "sac.net_arch=[24, 16]" in words


def test_what_is_compared_does_not_decide_what_is_calibrated(tmp_path):
    scales = []
    for count in (1, 50):
        words = (*SMALL, "quant=ptq", f"parity_observations={count}")
        assert train_main(tmp_path / str(count), *words) == 0
        policy = CompressedPolicy.load(tmp_path / str(count) / "actor.rlc")
        scales.append([value.scale for value in policy.values])
    assert scales[0] == scales[1]


@pytest.mark.parametrize(
    "overrides",
    [
        ["env=CartPole-v1", "quant=true", "sparsity=0.5"],
        ["env=CartPole-v1", "quant=ptq", "algo=ppo", "sparsity=0.5"],
        ["env=CartPole-v1", "quant=true", "algo=ppo", "sparsity=0.5", "n_envs=2", "ppo.n_steps=8"],
        ["env=Pendulum-v1", "quant=true", "algo=td3", "n_envs=4", "td3.learning_starts=50"],
        ["env=Pendulum-v1", "quant=true", "quantisation.activation_bits=null", "seed=1"],
    ],
)
def test_algorithms_end_with_an_artifact(overrides, tmp_path, capsys):
    small = ["budget=smoke", "total_timesteps=400", "pruning.updates=10", "ppo.n_steps=16"]
    small += ["ppo.batch_size=16"]
    small += ["dqn_vector.net_arch=[16]", "sac.net_arch=[16]", "td3.net_arch=[16]"]
    assert train_main(tmp_path, *small, *overrides) == 0
    out = capsys.readouterr().out
    assert "Parity holds." in out
    rows = json.loads((tmp_path / "summary.json").read_text())["rows"]
    final = "ptq" if "quant=ptq" in overrides else "quantised"
    assert {final, ".rlc"} <= {row["variant"] for row in rows}
    CompressedPolicy.load(tmp_path / "actor.rlc")
