import pytest

from tests.integration.runs import SMALL, train_main


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A finished run through all phases."""
    directory = tmp_path_factory.mktemp("small") / "run"
    assert train_main(directory, *SMALL, "sparsity=0.8", "quant=true", "seed=3") == 0
    return directory
