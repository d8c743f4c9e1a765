import logging
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import get_type_hints

import pytest
import yaml
from omegaconf import OmegaConf

from rlcompress import cli
from rlcompress.training.errors import HeldElsewhere, Interrupted, TrainingStopped
from rlcompress.training.lock import check_unlocked, locked
from rlcompress.training.settings import Settings
from rlcompress.training.sweep_status import ERROR, STOPPED


def run(arguments, check, tmp_path, monkeypatch):
    words = [f"hydra.run.dir={tmp_path}/run", f"hydra.sweep.dir={tmp_path}/sweep", *arguments]
    monkeypatch.setattr(sys, "argv", ["train", *words])
    return cli.run(cli.EntryPoint("train", Settings, check))


def works(settings, job):
    return lambda: None


@pytest.fixture
def cli_run(tmp_path, monkeypatch):
    yield lambda *arguments, check=works: run(arguments, check, tmp_path, monkeypatch)
    # Hydra leaves handlers behind that write to this test's captured output.
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.WARNING)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("sparsty=0.9", "unknown key 'sparsty'; did you mean sparsity"),
        ("sac.learning_rat=1", "did you mean sac.learning_rate"),
        ("learning_rate=1", "did you mean"),
        ("+sparsty=0.9", "sparsty"),
        ("sparsity=abc", "sparsity=abc: Value 'abc' of type 'str' could not be converted to Float"),
        ("total_timesteps=many", "could not be converted to Integer"),
        ("sac.net_arch=wide", "sac.net_arch=wide"),
        ("budget=quik", "paper quick smoke"),
        ("sparsity==0.9", "sparsity==0.9"),
        ("env=", "env"),
    ],
)
@pytest.mark.parametrize("multirun", [False, True])
def test_mistakes_in_the_request_are_one_line(argument, said, multirun, cli_run, capfd):
    words = [argument, "seed=0,1", "-m"] if multirun else [argument]

    def check(settings, job):
        raise ValueError("env must be a Gymnasium id, got nothing")

    assert cli_run(*words, check=check) == cli.BAD_INPUT
    lines = capfd.readouterr().err.splitlines()
    assert said in lines[0]
    assert all(line.startswith("error: ") for line in lines)
    assert len(lines) == 1 or argument in ("env=", "+sparsty=0.9")


def test_what_check_raises_is_a_mistake_of_the_user(cli_run, capfd):
    def check(settings, job):
        raise ValueError("sparsity must be in [0, 1),\n got 1.5")

    assert cli_run(check=check) == cli.BAD_INPUT
    assert capfd.readouterr().err == "error: sparsity must be in [0, 1), got 1.5\n"


def test_what_the_work_raises_is_a_failed_run(cli_run, capfd):
    def check(settings, job):
        def work():
            raise TrainingStopped("critic_loss is nan")

        return work

    assert cli_run(check=check) == cli.FAILED
    assert capfd.readouterr().err == "error: critic_loss is nan\n"


@pytest.mark.parametrize("verbose", [False, True])
def test_a_mistake_of_ours_leaves_its_traceback(verbose, cli_run, tmp_path, capfd):
    def check(settings, job):
        return lambda: {}["nothing"]

    assert cli_run(f"hydra.verbose={verbose}", check=check) == cli.FAILED
    err = capfd.readouterr().err
    assert "KeyError: 'nothing'" in err
    assert ("Traceback" in err) == verbose
    if not verbose:
        assert len(err.splitlines()) == 1
        assert "Traceback" in (tmp_path / "run" / "error.txt").read_text()


def test_a_failing_job_is_reported_and_the_others_run(cli_run, capfd):
    done = []

    def check(settings, job):
        if settings.sparsity > 1:
            raise ValueError(f"sparsity {settings.sparsity} is too high")
        return lambda: done.append((settings.sparsity, settings.seed, job.directory.name))

    code = cli_run("sparsity=0.5,1.5,0.9", "seed=3", "-m", check=check)
    assert code == cli.BAD_INPUT
    assert done == [(0.5, 3, "0"), (0.9, 3, "2")]
    err = capfd.readouterr().err
    assert err == "error: job 1 (sparsity=1.5 seed=3): sparsity 1.5 is too high\n"


def test_a_failed_job_keeps_its_reason_until_it_is_started_again(cli_run, tmp_path):
    def check(settings, job):
        def work():
            raise TrainingStopped("critic_loss is nan")

        return work

    reason = tmp_path / "sweep" / "0" / "error.txt"
    assert cli_run("sparsity=0.5,0.9", "-m", check=check) == cli.FAILED
    assert reason.read_text() == "critic_loss is nan\n"
    assert cli_run("sparsity=0.5,0.9", "-m") == 0
    assert not reason.exists()


def test_a_stopped_job_keeps_what_it_said_until_it_is_started_again(cli_run, tmp_path):
    def check(settings, job):
        def work():
            raise Interrupted(signal.SIGTERM, "saved after 60 steps")

        return work

    said = tmp_path / "sweep" / "0" / STOPPED
    assert cli_run("sparsity=0.5,0.9", "-m", check=check) == 128 + signal.SIGTERM
    assert said.read_text() == "saved after 60 steps (SIGTERM)\n"
    assert not said.with_name(ERROR).exists()
    assert not (tmp_path / "sweep" / "1").exists()
    assert cli_run("sparsity=0.5,0.9", "-m") == 0
    assert not said.exists()


def test_interrupt(cli_run, capfd):
    def check(settings, job):
        def work():
            raise KeyboardInterrupt

        return work

    assert cli_run(check=check) == cli.INTERRUPTED
    assert capfd.readouterr().err == "error: interrupted\n"


def test_a_job_is_told_what_describes_it(cli_run, tmp_path):
    seen = []

    def check(settings, job):
        seen.append((settings, job))
        return lambda: None

    assert cli_run("sparsity=0.9", "quant=true", "sac.learning_rate=1e-3", check=check) == 0
    settings, job = seen[0]
    assert isinstance(settings, Settings)
    assert (settings.sparsity, settings.quant) == (0.9, True)
    assert settings.sac.learning_rate == 1e-3
    assert job.directory == tmp_path / "run"
    assert job.command.endswith("sparsity=0.9 quant=true sac.learning_rate=1e-3")
    assert yaml.safe_load(job.descriptions["config.yaml"])["sparsity"] == 0.9
    assert yaml.safe_load(job.descriptions["overrides.yaml"])[0] == "sparsity=0.9"
    assert not (tmp_path / "run" / ".hydra").exists()


def test_unknown_flag_is_one_line(cli_run, capfd):
    with pytest.raises(SystemExit) as stop:
        cli_run("--flga")
    assert stop.value.code == cli.BAD_INPUT
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_help_explains_every_key(cli_run, capfd):
    with pytest.raises(SystemExit) as stop:
        cli_run("--help")
    assert not stop.value.code
    text = capfd.readouterr().out
    for key in get_type_hints(Settings):
        assert key in text, key


@pytest.mark.parametrize("budget", ["paper", "quick", "smoke"])
def test_every_budget_gives_every_value(budget, cli_run):
    seen = []

    def check(settings, job):
        seen.append(settings)
        return lambda: None

    assert cli_run(f"budget={budget}", check=check) == 0
    assert seen[0].budget == budget
    assert OmegaConf.missing_keys(OmegaConf.structured(seen[0])) == set()


def test_paper_budget_is_the_papers_table(cli_run):
    seen = []

    def check(settings, job):
        seen.append(settings)
        return lambda: None

    cli_run(check=check)
    s = seen[0]
    assert (s.sac.total_timesteps, s.sac.pruning_updates, s.sac.net_arch) == (10**6, 600, [256] * 2)
    assert (s.sac.learning_rate, s.sac.weight_decay, s.sac.batch_size) == (3e-4, 1e-4, 256)
    assert (s.sac.learning_starts, s.sac.tau, s.sac.ent_coef) == (10_000, 0.005, "auto")
    for table, rate, decay in ((s.dqn_atari, 1e-4, 0.0), (s.dqn_resnet, 3.125e-4, 1e-5)):
        assert (table.total_timesteps, table.pruning_updates) == (10**7, 300)
        assert (table.learning_rate, table.weight_decay, table.adam_eps) == (rate, decay, 1e-8)
        assert (table.batch_size, table.buffer_size, table.learning_starts) == (32, 10**6, 20_000)
        assert (table.train_freq, table.target_update_interval, table.tau) == (4, 8000, 1.0)
        assert (table.exploration_fraction, table.exploration_final_eps) == (0.01, 0.01)
    assert (s.pruning.begin, s.pruning.end, s.pruning.power) == (0.2, 0.8, 3)
    assert (s.eval_freq, s.eval_episodes) == (10_000, 20)


def test_conf_is_found_beside_and_inside_the_package(tmp_path, monkeypatch):
    assert (cli.config_dir() / "budget" / "quick.yaml").is_file()
    package = tmp_path / "site" / "rlcompress"
    shutil.copytree(cli.config_dir(), package / "conf")
    monkeypatch.setattr(cli, "__file__", str(package / "cli.py"))
    assert cli.config_dir() == package / "conf"
    shutil.rmtree(package / "conf")
    with pytest.raises(FileNotFoundError, match="reinstall"):
        cli.config_dir()


def test_keys_of_nested_dataclasses():
    @dataclass
    class Inner:
        depth: int

    assert "sac.learning_rate" in set(cli._keys(Settings))
    assert set(cli._keys(Inner)) == {"depth"}
    assert isinstance(cli.config_dir(), Path)


def test_a_sweep_leaves_alone_what_another_process_holds(cli_run, tmp_path, capfd):
    held = tmp_path / "sweep" / "1"
    held.mkdir(parents=True)

    def check(settings, job):
        check_unlocked(job.directory)
        return lambda: (job.directory / "done").touch()

    with locked(held):
        assert cli_run("seed=0,1,2", "-m", check=check) == 0
    said = capfd.readouterr()
    assert said.err == ""
    (line,) = [line for line in said.out.splitlines() if line.startswith("held: job 1 (seed=1)")]
    assert f"process {os.getpid()} on " in line
    assert [(tmp_path / "sweep" / str(n) / "done").exists() for n in range(3)] == [1, 0, 1]
    assert not (held / ERROR).exists()


def test_a_run_alone_says_that_its_directory_is_held(cli_run, tmp_path, capfd):
    (tmp_path / "run").mkdir()

    def check(settings, job):
        check_unlocked(job.directory)
        return lambda: None

    with locked(tmp_path / "run"):
        assert cli_run(check=check) == HeldElsewhere.code == 3
    assert "in use by process" in capfd.readouterr().err
