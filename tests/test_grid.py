import itertools
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser

from rlcompress.cli import config_dir
from rlcompress.grid import expanded
from rlcompress.training.settings import Settings

EXPERIMENTS = sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml"))


@pytest.fixture(autouse=True)
def _schema():
    ConfigStore.instance().store(name="train_schema", node=Settings)


def expand(*words):
    return expanded(words, config_dir(), "train")


def axes_of(words):
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", overrides=list(words), return_hydra_config=True)
    params = config.hydra.sweeper.params or {}
    words = [f"{name}={value}" for name, value in params.items()]
    parsed = OverridesParser.create().parse_overrides(words)
    axes = [override for override in parsed if override.is_sweep_override()]
    return {axis.key_or_group: list(axis.sweep_string_iterator()) for axis in axes}


def test_a_command_without_an_experiment_stays_as_it_is():
    words = ["env=Hopper-v4", "sparsity=0.5,0.9", "-m"]
    assert expand(*words) == words


def test_what_the_command_line_sets_is_no_axis_any_more():
    words = expand("+experiment=paper_mujoco", "seed=0", "env=Hopper-v4,Ant-v4")
    assert {"seed=0", "env=Hopper-v4,Ant-v4"} < set(words)
    words.remove("env=Hopper-v4,Ant-v4")
    assert set(axes_of(words)) == {"variant", "sparsity"}


def test_quantisation_by_its_other_name_is_a_variant():
    """Beside quant=true every variant of the axis would be the same run."""
    words = expand("+experiment=paper_mujoco", "quant=false,true", "seed=0")
    assert "variant=none,int8" in words and not any(word.startswith("quant") for word in words)
    assert set(axes_of([word for word in words if "variant=" not in word])) == {"sparsity", "env"}
    assert "variant=int8" in expand("+experiment=allocation_ablation", "quant=true")


def test_the_grid_that_is_shown_is_the_one_that_runs():
    words = ["+experiment=paper_mujoco", "budget=quick", "--cfg", "hydra", "-p", "hydra.sweeper"]
    assert "+grid=quick/paper_mujoco" in expand(*words)
    assert expand(*words, "--help") == [*words, "--help"]


def test_a_misspelt_experiment_is_hydras_to_report():
    with pytest.raises(Exception, match="papper"):
        expand("+experiment=papper")


MUJOCO = ["HalfCheetah-v4", "Hopper-v4", "Walker2d-v4", "Ant-v4", "Humanoid-v4", "Swimmer-v4"]
ATARI = [f"{game}NoFrameskip-v4" for game in ("Pong", "Boxing", "Tutankham", "CrazyClimber")]


@pytest.mark.parametrize(
    ("name", "envs", "sparsities", "seeds"),
    [
        ("paper_mujoco", MUJOCO, "0 0.5 0.7 0.8 0.9 0.95 0.98 0.99", 10),
        ("paper_atari_cnn", ATARI, "0 0.5 0.7 0.8 0.9 0.95 0.98", 5),
        ("paper_atari_resnet", ATARI, "0 0.5 0.7 0.8 0.9 0.95 0.98", 5),
    ],
)
def test_the_papers_grids(name, envs, sparsities, seeds):
    assert axes_of(expand(f"+experiment={name}")) == {
        "variant": ["none", "int8", "weights"],
        "sparsity": sparsities.split(),
        "env": envs,
        "seed": [str(seed) for seed in range(seeds)],
    }


@pytest.mark.parametrize("budget", ["paper", "quick", "smoke"])
def test_bits_are_compared_with_dense_runs_in_every_budget(budget):
    axes = axes_of(expand("+experiment=quantisation_ablation", f"budget={budget}"))
    assert "0" in axes["sparsity"] and "none" in axes["variant"]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_smaller_budgets_have_smaller_grids(name):
    sizes = []
    for budget in ("paper", "quick", "smoke"):
        axes = axes_of(expand(f"+experiment={name}", f"budget={budget}"))
        sizes.append(len(list(itertools.product(*axes.values()))))
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_jobs_of_an_experiment_have_directories_of_their_own(name):
    """Whatever the sweep varies has to be in the name of the job's directory."""
    words = expand(f"+experiment={name}")
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", overrides=words, return_hydra_config=True)
    template = (Path(config_dir()) / "experiment" / f"{name}.yaml").read_text()
    subdir = next(line for line in template.splitlines() if "subdir:" in line)
    for axis in config.hydra.sweeper.params:
        assert f"${{{axis}}}" in subdir or f"choices.{axis}}}" in subdir


@pytest.mark.parametrize(
    ("variant", "quant", "activations"),
    [("none", False, 8), ("int8", True, 8), ("weights", True, None), ("ptq", "ptq", 8)],
)
def test_variants(variant, quant, activations):
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", overrides=[f"variant={variant}"])
    assert config.quant == quant
    assert config.quantisation.activation_bits == activations
