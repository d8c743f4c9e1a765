"""Settings of all tests: one thread per process, and no deadlines, for no test asserts a speed."""

import os
import sys

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


@pytest.fixture(scope="session", autouse=True)
def _open_streams():
    """absl, which some peers bring, closes the stream it logs to once hydra sets up logging.

    It spares the real one; the one of its first import here would be pytest's, and shared.
    """
    try:
        from absl import logging
    except ImportError:
        return
    logging.get_absl_handler().python_handler.stream = sys.__stderr__
