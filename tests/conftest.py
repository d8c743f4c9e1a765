"""Settings of all tests: one thread per process, and no deadlines, for no test asserts a speed."""

import os

from hypothesis import settings

# Before torch is imported anywhere: its thread pools of parallel tests starve each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Every run tries the same examples: a test suite that fails by luck teaches nothing. The fuzz
# targets are where new ones are looked for.
settings.register_profile("rlcompress", deadline=None, derandomize=True)
settings.load_profile("rlcompress")
