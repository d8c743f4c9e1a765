"""Settings as the command line would give them, without hydra's command line."""

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from rlcompress.cli import config_dir
from rlcompress.training.settings import Settings


def settings_of(*overrides: str) -> Settings:
    ConfigStore.instance().store(name="train_schema", node=Settings)
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", overrides=list(overrides))
    found = OmegaConf.to_object(config)
    assert isinstance(found, Settings)
    return found
