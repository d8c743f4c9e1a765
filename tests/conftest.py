"""Settings of all tests: one thread per process, and no deadlines, for no test asserts a speed."""

import os

import pytest
from hypothesis import settings

# Before torch is imported anywhere: its thread pools of parallel tests starve each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Every run tries the same examples: a test suite that fails by luck teaches nothing. The fuzz
# targets are where new ones are looked for.
settings.register_profile("rlcompress", deadline=None, derandomize=True)
settings.load_profile("rlcompress")


@pytest.fixture(scope="session", autouse=True)
def _empty_logs(tmp_path_factory):
    """Models without a logger make an empty directory each, by default in the system's own."""
    before = os.environ.get("SB3_LOGDIR")
    os.environ["SB3_LOGDIR"] = str(tmp_path_factory.mktemp("logs"))
    yield
    if before is None:
        del os.environ["SB3_LOGDIR"]
    else:
        os.environ["SB3_LOGDIR"] = before
