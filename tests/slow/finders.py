"""Where modules are found; says nothing about what is done with them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def plain_finders() -> Iterator[None]:
    """Import from the tree that this is started in, as if nothing were installed from it.

    An editable installation has a finder of its own, whose modules cannot be instrumented: a fuzzer
    guided by coverage is blind there.
    """
    before = list(sys.meta_path)
    sys.meta_path[:] = [each for each in before if "Redirecting" not in type(each).__name__]
    try:
        yield
    finally:
        sys.meta_path[:] = before
