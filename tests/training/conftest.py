import pytest

from tests.training.kills import HOPPER, in_process


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Makes each asked-for run once and leaves it alone; gives its directory."""
    made = {}

    def run(*overrides):
        if overrides not in made:
            made[overrides] = tmp_path_factory.mktemp("undisturbed") / "run"
            assert in_process(made[overrides], *HOPPER, *overrides) == 0
        return made[overrides]

    return run
