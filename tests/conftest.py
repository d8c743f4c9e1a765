"""Settings of all tests: hypothesis sets no deadline, for no test here asserts a speed."""

from hypothesis import settings

settings.register_profile("rlcompress", deadline=None)
settings.load_profile("rlcompress")
