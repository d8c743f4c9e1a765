"""Compression through its command line: what it leaves, that it repeats, and what it refuses."""

import json
import logging
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rlcompress import CompressedPolicy, Engine
from rlcompress.compress import __main__ as compress
from rlcompress.probe.source import open_source
from rlcompress.quantization.state import is_prepared
from rlcompress.reporting.inputs import read_runs
from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.checkpoint import load
from tests.integration.test_bad_input import export_main
from tests.integration.test_report import report_main
from tests.sb3.models import ALGORITHMS, CASES, algorithm, make_model

SMALL = (
    "steps=80",
    "batch_size=32",
    "n_envs=4",
    "check_episodes=2",
    "final_episodes=3",
    "episode_steps=20",
    "parity_observations=64",
)


def compress_main(directory, *overrides):
    places = [f"hydra.run.dir={directory}", f"hydra.sweep.dir={directory}"]
    before, sys.argv = sys.argv, ["compress", *(str(word) for word in overrides), *places]
    try:
        return compress.main()
    finally:
        sys.argv = before
        logging.getLogger().handlers.clear()


@pytest.fixture(scope="module")
def zips(tmp_path_factory):
    """One small untrained model per algorithm, made when it is asked for."""
    directory = tmp_path_factory.mktemp("zips")

    def get(name, **changes):
        path = directory / f"{name}{len(changes)}.zip"
        if not path.exists():
            make_model(name, **changes).save(path)
        return path

    return get


@pytest.fixture(scope="module")
def done(zips, tmp_path_factory):
    """A finished compression of a SAC policy."""
    directory = tmp_path_factory.mktemp("compress") / "run"
    arguments = (f"model={zips('SAC')}", "env=Pendulum-v1", "sparsity=0.8")
    assert compress_main(directory, *arguments, *SMALL) == 0
    return directory


def summary_of(directory):
    return json.loads((directory / "summary.json").read_text())


def without_times(summary):
    rows = [
        {name: value for name, value in row.items() if not name.endswith("_us")}
        for row in (*summary["compared"], *summary["attempts"])
    ]
    return {**summary, "timing": None, "compared": rows, "attempts": None}


def test_a_compression_is_a_run(done):
    assert {path.name for path in done.iterdir()} >= {
        ".hydra",
        "actor.rlc",
        "actor.zip",
        "command.txt",
        "environment.json",
        "eval.jsonl",
        "phases",
        "summary.json",
    }
    assert list(done.glob("events.out.tfevents.*"))
    summary = summary_of(done)
    assert (summary["sparsity"], summary["asked_sparsity"]) == (0.8, 0.8)
    assert [row["variant"] for row in summary["compared"]] == ["teacher", "student"]
    assert summary["compared"][1]["kept"] == round(0.2 * summary["compared"][1]["weights"])
    assert summary["rows"][1]["size_bytes"] < summary["rows"][0]["size_bytes"]
    assert summary["paired"]["episodes"] == 3
    assert summary["parity"]["violations"] == 0
    rows = [json.loads(line) for line in (done / "eval.jsonl").read_text().splitlines()]
    assert [row["variant"] for row in rows] == [
        *["teacher"] * 2,
        *["check"] * 2,
        *["teacher"] * 3,
        *[".rlc"] * 3,
    ]


def test_the_zip_is_what_the_artifact_was_frozen_from(done):
    policy = CompressedPolicy.load(done / "actor.rlc")
    model = load(done / "actor.zip")
    assert is_prepared(actor_of(model).root)
    actions, _ = model.predict(policy.golden.observations, deterministic=True)
    np.testing.assert_allclose(Engine(policy)(policy.golden.observations), actions, atol=1e-4)
    plain = algorithm("SAC").load(done / "actor.zip", device="cpu")
    assert plain.predict(policy.golden.observations)[0].shape == actions.shape


def test_export_reads_the_run(done, tmp_path, capfd):
    assert export_main(f"run={done}", f"out={tmp_path}/actor.onnx") == 0
    assert (tmp_path / "actor.onnx").stat().st_size > 0


def test_the_same_command_gives_the_same_numbers(done, zips, tmp_path):
    arguments = (f"model={zips('SAC')}", "env=Pendulum-v1", "sparsity=0.8")
    assert compress_main(tmp_path / "again", *arguments, *SMALL) == 0
    for name in ("actor.rlc", "eval.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (done / name).read_bytes(), name
    assert without_times(summary_of(tmp_path / "again")) == without_times(summary_of(done))
    assert compress_main(tmp_path / "other", *arguments, *SMALL, "seed=1") == 0
    assert (tmp_path / "other/actor.rlc").read_bytes() != (done / "actor.rlc").read_bytes()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm(name, zips, tmp_path, capsys):
    algorithm(name)
    env = CASES[name][0]
    assert compress_main(tmp_path, f"model={zips(name)}", f"env={env}", *SMALL) == 0
    out = capsys.readouterr().out
    assert "is a pickle inside" in out
    assert "Parity holds." in out
    assert summary_of(tmp_path)["algo"] == name.lower()


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("SAC", {"use_sde": True}),
        ("PPO", {"use_sde": True}),
        ("A2C", {"env": "Pendulum-v1", "use_sde": True, "policy_kwargs": {"squash_output": True}}),
        ("PPO", {"policy_kwargs": {"net_arch": {"pi": [24], "vf": [8, 8]}}}),
    ],
)
def test_policies_of_other_kinds(name, changes, tmp_path):
    make_model(name, **changes).save(tmp_path / "model.zip")
    arguments = (f"model={tmp_path}/model.zip", "env=Pendulum-v1", *SMALL)
    assert compress_main(tmp_path / "run", *arguments) == 0
    assert summary_of(tmp_path / "run")["parity"]["violations"] == 0


def normalised(tmp_path):
    env = VecNormalize(DummyVecEnv([lambda: __import__("gymnasium").make("Pendulum-v1")]))
    model = make_model("SAC", env)
    model.learn(60)
    model.save(tmp_path / "model.zip")
    env.save(str(tmp_path / "stats.pkl"))
    env.training = False
    return model, env


def test_statistics_are_part_of_the_artifact(tmp_path):
    model, env = normalised(tmp_path)
    arguments = (f"model={tmp_path}/model.zip", f"vecnormalize={tmp_path}/stats.pkl")
    small = ("env=Pendulum-v1", "sparsity=0", "quant=false", *SMALL, "learning_rate=1e-9")
    assert compress_main(tmp_path / "run", *arguments, *small) == 0
    engine = Engine.load(tmp_path / "run" / "actor.rlc")
    raw = engine.policy.golden.observations
    # Nothing was pruned, rounded or learned: on raw observations it is the model behind them.
    expected, _ = model.predict(env.normalize_obs(raw), deterministic=True)
    np.testing.assert_allclose(engine(raw), expected, atol=1e-3)


def test_an_export_keeps_the_statistics_or_refuses(tmp_path, capsys):
    """They are in the artifact and not in the zip beside it."""
    normalised(tmp_path)
    statistics = f"vecnormalize={tmp_path}/stats.pkl"
    small = ("env=Pendulum-v1", "sparsity=0", "quant=false", *SMALL)
    run = tmp_path / "run"
    assert compress_main(run, f"model={tmp_path}/model.zip", statistics, *small) == 0
    before = (run / "actor.rlc").read_bytes()
    assert export_main(f"run={run}", f"out={tmp_path}/again.rlc") == 0
    assert (tmp_path / "again.rlc").read_bytes() == before
    assert export_main(f"run={run}/actor.zip") == 2
    assert "has no statistics: name the .rlc, or give vec_normalize=" in capsys.readouterr().err
    assert export_main(f"run={run}", "remove_dead=false") == 2
    assert export_main(f"run={run}/actor.rlc", "remove_dead=false") == 2
    assert (run / "actor.rlc").read_bytes() == before
    statistics = f"vec_normalize={tmp_path}/stats.pkl"
    assert export_main(f"run={run}", statistics, f"out={tmp_path}/zip.rlc") == 0
    mean = CompressedPolicy.load(tmp_path / "zip.rlc").observation.mean
    np.testing.assert_array_equal(mean, CompressedPolicy.load(run / "actor.rlc").observation.mean)


def test_recorded_observations_are_enough(zips, tmp_path, capsys):
    rows = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    np.savez(tmp_path / "log.npz", observations=rows)
    arguments = (f"model={zips('SAC')}", f"observations={tmp_path}/log.npz", "sparsity=0.5")
    assert compress_main(tmp_path / "run", *arguments, *SMALL) == 0
    summary = summary_of(tmp_path / "run")
    assert summary["paired"] is None
    assert summary["observations"] == 270
    assert 0.0 < summary["likeness"]["error"] < 1.0
    assert compress_main(tmp_path / "shot", *arguments, *SMALL, "method=oneshot") == 0


def test_rounding_afterwards(zips, tmp_path):
    arguments = (f"model={zips('SAC')}", "env=Pendulum-v1", "quant=ptq", "sparsity=0.5")
    assert compress_main(tmp_path, *arguments, *SMALL) == 0
    assert is_prepared(actor_of(load(tmp_path / "actor.zip")).root)
    policy = CompressedPolicy.load(tmp_path / "actor.rlc")
    assert all(linear.weight.dtype == np.int8 for linear in policy.linears)
    assert {row["variant"] for row in summary_of(tmp_path)["rows"]} >= {"ptq"}


def test_without_an_environment_the_end_is_judged_on_what_was_held_out(zips, tmp_path, capsys):
    rows = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    np.save(tmp_path / "log.npy", rows)
    arguments = (f"model={zips('SAC')}", f"observations={tmp_path}/log.npy", "sparsity=0.5")
    assert compress_main(tmp_path / "run", *arguments, *SMALL) == 0
    assert "on 30 observations of the teacher's" in capsys.readouterr().out


def test_one_shot_begins_again_where_it_was_stopped(zips, tmp_path):
    arguments = (f"model={zips('DQN')}", "env=CartPole-v1", "sparsity=0.5", "method=oneshot")
    assert compress_main(tmp_path / "whole", *arguments, *SMALL) == 0
    stopped = shutil.copytree(tmp_path / "whole", tmp_path / "stopped")
    (stopped / "summary.json").unlink()
    assert compress_main(stopped, *arguments, *SMALL, "resume=true") == 0
    rows = (stopped / "eval.jsonl").read_bytes()
    assert rows == (tmp_path / "whole" / "eval.jsonl").read_bytes()


def test_fine_tuning_that_ends_before_it_quantises_says_so(zips, tmp_path, capfd):
    arguments = (f"model={zips('PPO')}", f"env={CASES['PPO'][0]}", "method=finetune", "sparsity=0")
    short = ("finetune.total_timesteps=20", "finetune.quantise_at=0.95")
    assert compress_main(tmp_path, *arguments, *SMALL, *short) == 1
    assert "nothing is quantised: let it begin earlier" in capfd.readouterr().err


def test_fine_tuning_says_which_schedule_it_does_not_read(tmp_path, capsys):
    make_model("PPO", clip_range=lambda left: 0.3 * left).save(tmp_path / "model.zip")
    arguments = (f"model={tmp_path}/model.zip", "env=Pendulum-v1", "method=finetune", "sparsity=0")
    short = ("finetune.total_timesteps=200", "quant=false")
    assert compress_main(tmp_path / "run", *arguments, *SMALL, *short) == 0
    said = capsys.readouterr().out
    assert "the zip's clip_range is code that is not run; 0.2 takes its place" in said
    assert "learning_rate" not in said


def test_one_shot(zips, tmp_path):
    arguments = (f"model={zips('DQN')}", "env=CartPole-v1", "sparsity=0.5", "method=oneshot")
    assert compress_main(tmp_path, *arguments, *SMALL) == 0
    summary = summary_of(tmp_path)
    assert summary["criterion"] == "magnitude"
    assert summary["compared"][1]["kept"] == round(0.5 * summary["compared"][1]["weights"])
    assert is_prepared(actor_of(load(tmp_path / "actor.zip")).root)


def test_report_and_probe_read_a_compression(done, tmp_path):
    """Beside its teacher: dense at the beginning, the artifact at the end."""
    inputs = read_runs(str(done))
    (run,) = inputs.runs
    assert not inputs.skipped
    assert (run.env, run.algo, run.final) == ("Pendulum-v1", "sac", "quantised")
    dense, small = run.result("dense"), run.result("quantised")
    assert small.weights_kept == round(0.2 * dense.weights)
    assert small.size_bytes < dense.size_bytes
    assert run.result(".rlc") is not None
    assert report_main(f"runs={done}", f"out={tmp_path}", "resamples=200", "files=false") == 0
    assert "Pendulum-v1" in (tmp_path / "report.html").read_text()
    assert open_source(done).policy.meta["env_id"] == "Pendulum-v1"


@pytest.mark.parametrize("method", ["distill", "oneshot"])
def test_a_search_ends_with_a_table_and_a_figure(method, zips, tmp_path, capsys):
    arguments = (f"model={zips('DQN')}", "env=CartPole-v1", "sparsity=auto", f"method={method}")
    assert compress_main(tmp_path, *arguments, *SMALL, "tolerance=0.9") == 0
    out = capsys.readouterr().out
    assert "What sparsity costs" in out and "more episodes: return" in out
    rows = [json.loads(line) for line in (tmp_path / "eval.jsonl").read_text().splitlines()]
    assert {"teacher", "check", "confirmation", ".rlc"} == {row["variant"] for row in rows}
    summary = summary_of(tmp_path)
    tried = [attempt["course"]["final"] for attempt in summary["attempts"]]
    assert summary["sparsity"] in tried and summary["asked_sparsity"] == "auto"
    assert len(set(tried)) > 1
    assert (tmp_path / "pareto.png").stat().st_size > 1000


@pytest.mark.parametrize("name", ["SAC", "DQN", "PPO"])
def test_fine_tuning(name, zips, tmp_path):
    arguments = (f"model={zips(name)}", f"env={CASES[name][0]}", "method=finetune")
    short = ("finetune.total_timesteps=200", "finetune.fill=50", "finetune.buffer_size=100")
    assert compress_main(tmp_path, *arguments, *short, *SMALL, "sparsity=0.7") == 0
    summary = summary_of(tmp_path)
    assert summary["compared"][1]["kept"] == round(0.3 * summary["compared"][1]["weights"])
    assert summary["attempts"][0]["course"]["steps"] == 200
    assert is_prepared(actor_of(load(tmp_path / "actor.zip")).root)


FINETUNED = ("method=finetune", "finetune.total_timesteps=300", "finetune.fill=50")


@pytest.mark.parametrize("method", [("steps=400",), FINETUNED], ids=["distill", "finetune"])
def test_a_stopped_run_continues_to_the_same_end(method, zips, tmp_path):
    """Stopped twice by SIGTERM in a process of its own, at whatever step it was by then."""
    common = (f"model={zips('SAC')}", "env=Pendulum-v1", "sparsity=0.8", *SMALL, *method)
    assert compress_main(tmp_path / "whole", *common) == 0
    command = [sys.executable, "-m", "rlcompress.compress", *common, "checkpoint_s=0"]
    command += [f"hydra.run.dir={tmp_path}/stopped"]
    checkpoints = tmp_path / "stopped" / "checkpoint"
    for number in (1, 2):
        before = {path.name for path in checkpoints.glob("*.ckpt")}
        process = subprocess.Popen([*command, "resume=true"] if number == 2 else command)
        while process.poll() is None:
            if {path.name for path in checkpoints.glob("*.ckpt")} - before:
                process.send_signal(signal.SIGTERM)
                break
        assert process.wait() in (0, 143)
    finished = (tmp_path / "stopped" / "summary.json").exists()
    assert compress_main(tmp_path / "stopped", *common, "checkpoint_s=0", "resume=true") == 0
    assert not finished or number == 2
    for name in ("actor.rlc", "eval.jsonl"):
        found = (tmp_path / "stopped" / name).read_bytes()
        assert found == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["model=nothing.zip", "env=Pendulum-v1"], "nothing.zip is no file"),
        (["env=Pendulum-v1"], "model is missing"),
        (["model={SAC}"], "env is missing"),
        (["model={SAC}", "env=CartPole-v1"], "observations of shape (4,)"),
        (["model={SAC}", "env=Pendulam-v1"], "nearest: Pendulum-v1"),
        (["model={SAC}", "env=Pendulum-v1", "method=destill"], "did you mean 'distill'"),
        (["model={SAC}", "env=Pendulum-v1", "sparsity=1"], "sparsity must be in [0, 1)"),
        (["model={SAC}", "env=Pendulum-v1", "sparsity=most"], "or auto, got 'most'"),
        (["model={SAC}", "env=Pendulum-v1", "criterion=magnitud"], "did you mean magnitude"),
        (["model={SAC}", "env=Pendulum-v1", "allocation=globl"], "unknown allocation"),
        (["model={SAC}", "observations=none.npz"], "none.npz cannot be read"),
        (["model={SAC}", "env=Pendulum-v1", "vecnormalize=no.pkl"], "no.pkl cannot be read"),
        (["model={SAC}", "observations=x.npz", "sparsity=auto"], "sparsity=auto needs"),
        (["model={SAC}", "env=Pendulum-v1", "method=finetune", "sparsity=auto"], "distill"),
        (["model={SAC}", "env=Pendulum-v1", "quantisation.skip=[muu]"], "muu"),
        (["model={SAC}", "env=Pendulum-v1", "n_envs=1"], "n_envs must be at least 2"),
        (["model={SAC}", "env=Pendulum-v1", "steps=4"], "steps must be at least 5"),
        (["model={SAC}", "env=Pendulum-v1", "learning_rate=nan"], "learning_rate must be positive"),
        (["model={SAC}", "env=Pendulum-v1", "noise=nan"], "must not be negative"),
        (["model={SAC}", "env=Pendulum-v1", "sparsity=auto", "allocation=globl"], "unknown"),
        (
            ["model={SAC}", "env=Pendulum-v1", "method=finetune", "finetune.quantise_at=1.5"],
            "finetune.quantise_at must be in [0, 1)",
        ),
        (
            ["model={SAC}", "env=Pendulum-v1", "method=finetune", "criterion=action"],
            "criterion=action needs a teacher",
        ),
    ],
)
def test_a_wrong_request_is_one_line(overrides, said, zips, tmp_path, capfd):
    words = [word.format(SAC=zips("SAC")) for word in overrides]
    assert compress_main(tmp_path / "run", *SMALL, *words) == 2
    err = capfd.readouterr().err
    assert said in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())


def test_recurrent_policies_are_refused(tmp_path, capfd):
    contrib = pytest.importorskip("sb3_contrib")
    model = contrib.RecurrentPPO("MlpLstmPolicy", "CartPole-v1", n_steps=8, batch_size=8)
    model.save(tmp_path / "lstm.zip")
    arguments = (f"model={tmp_path}/lstm.zip", "env=CartPole-v1")
    assert compress_main(tmp_path / "run", *arguments, *SMALL) == 2
    err = capfd.readouterr().err
    assert "recurrent (LSTM)" in err
    assert err.count("\n") == 1


def test_a_loss_that_is_not_finite_stops_the_run(zips, tmp_path, capfd):
    arguments = (f"model={zips('PPO')}", "env=Pendulum-v1", "learning_rate=1e30")
    assert compress_main(tmp_path, *arguments, *SMALL) == 1
    err = capfd.readouterr().err
    assert "error: the loss is " in err
    assert err.count("\n") == 1
