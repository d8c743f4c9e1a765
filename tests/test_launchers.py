import pytest

from rlcompress import cli, launchers
from tests.test_cli import cli_run  # noqa: F401


@pytest.mark.parametrize("name", ["joblib", "slurm", "ray"])
def test_a_launcher_that_is_not_installed_names_its_extra(name, cli_run, monkeypatch, capfd):  # noqa: F811
    monkeypatch.setattr(launchers, "find_spec", lambda module: None)
    assert cli_run(f"hydra/launcher={name}", "seed=0,1", "-m") == cli.BAD_INPUT
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"error: hydra/launcher={name} needs ")
    assert line.endswith(f"not installed: pip install 'rlcompress[{name}]'")


def test_the_last_launcher_counts():
    assert launchers.chosen(["hydra/launcher=ray", "seed=0", "hydra/launcher=basic"]) == "basic"
    assert launchers.chosen(["seed=0"]) is None
    launchers.make_ready(["hydra/launcher=basic"])
