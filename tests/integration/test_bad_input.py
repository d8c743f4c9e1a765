"""Whatever is wrong with a request is said in one line before training starts."""

import subprocess
import sys

import pytest
from stable_baselines3 import PPO

from rlcompress.export import __main__ as export
from tests.integration.runs import SMALL, train_main


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["env=Hoper-v4"], "nearest: Hopper-v4"),
        (["env=Taxi-v4"], "unsupported space, Discrete"),
        (["env=Blackjack-v1"], "unsupported space, Tuple"),
        (["sparsity=1.5"], "sparsity must be in [0, 1), got 1.5"),
        (["sparsity=0.9", "allocation=erdos_reny"], "unknown allocation 'erdos_reny'"),
        (["sparsity=0.9", "criterion=magnitud"], "unknown criterion 'magnitud'"),
        (["sparsity=0.999", "allocation=erdos_renyi_paper"], "erdos_renyi_paper"),
        (["sparsity=0.9", "pruning.skip=[muu]"], "skip names an unknown layer 'muu'"),
        (["quant=true", "quantisation.skip=[muu]"], "muu"),
        (["quant=ptq", "quantisation.skip=[muu]"], "muu"),
        (["quant=true", "quantisation.weight_bits=1"], "weight_bits must be in 2..8, got 1"),
        (["sparsity=0.9", "pruning.updates=5000"], "too short for 5000 mask updates"),
        (["sparsty=0.9"], "did you mean sparsity"),
        (["sparsity=much"], "could not be converted to Float"),
        (["device=quantum"], "device must be cpu"),
        (["resume=true"], "holds no checkpoint"),
    ],
)
def test_a_wrong_request(overrides, said, tmp_path, capfd):
    assert train_main(tmp_path / "run", *SMALL, *overrides) == 2
    captured = capfd.readouterr()
    assert said in captured.err
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    left = list((tmp_path / "run").rglob("*")) if (tmp_path / "run").exists() else []
    assert left == []


def test_no_traceback_from_a_real_process(tmp_path):
    command = [
        sys.executable,
        "-m",
        "rlcompress.train",
        "env=Hoper-v4",
        f"hydra.run.dir={tmp_path}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: env must be a registered Gymnasium id, got 'Hoper-v4'")
    assert done.stderr.count("\n") == 1


def test_a_directory_with_another_run(small_run, capfd):
    before = {path: path.stat().st_mtime_ns for path in small_run.rglob("*")}
    assert train_main(small_run, *SMALL) == 2
    assert "holds another run" in capfd.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in small_run.rglob("*")} == before


def test_a_directory_that_cannot_be(tmp_path, capfd):
    (tmp_path / "file").write_text("")
    assert train_main(tmp_path / "file" / "run", *SMALL) == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_losses_that_are_not_finite_stop_the_run(tmp_path, capfd):
    assert train_main(tmp_path, *SMALL, "sac.learning_rate=1e30", "sparsity=0.5") == 1
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert "_loss is " in err
    assert "the last good models are in" in err
    steps = int(err.split(" after ")[1].split()[0])
    assert steps <= 40 + 100


def export_main(*arguments):
    before, sys.argv = sys.argv, ["export", *(str(word) for word in arguments)]
    try:
        return export.main()
    finally:
        sys.argv = before


def test_export_refuses_what_it_cannot_read(small_run, tmp_path, capfd):
    data = (small_run / "actor.rlc").read_bytes()
    (tmp_path / "damaged.rlc").write_bytes(data[:-100])
    (tmp_path / "text.zip").write_text("not a zip")
    for run, said in [
        (tmp_path / "damaged.rlc", "damaged"),
        (tmp_path / "text.zip", "is not a Stable-Baselines3 zip"),
        (tmp_path / "none.zip", "does not exist"),
        (tmp_path, "holds no finished run"),
    ]:
        assert export_main(f"run={run}") == 2
        err = capfd.readouterr().err
        assert said in err
        assert err.count("\n") == 1
    assert export_main(f"run={small_run}", f"out={tmp_path}/actor.txt") == 2
    assert "must end in" in capfd.readouterr().err


def test_export_refuses_policies_with_a_state(tmp_path, capfd):
    contrib = pytest.importorskip("sb3_contrib")
    model = contrib.RecurrentPPO("MlpLstmPolicy", "CartPole-v1", n_steps=8, batch_size=8)
    model.save(tmp_path / "lstm.zip")
    assert export_main(f"run={tmp_path}/lstm.zip") == 2
    err = capfd.readouterr().err
    assert "recurrent (LSTM)" in err
    assert err.count("\n") == 1


def test_export_reads_a_plain_zip(tmp_path, capfd):
    PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8).save(tmp_path / "ppo.zip")
    assert export_main(f"run={tmp_path}/ppo.zip", f"out={tmp_path}/ppo.onnx") == 0
    assert export_main(f"run={tmp_path}/ppo.zip") == 0
    assert "dense float32" in capfd.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"ppo.zip", "ppo.onnx", "ppo.rlc"}
