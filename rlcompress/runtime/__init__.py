"""Running compressed policies without torch; neither trains nor converts them."""

from rlcompress.runtime.reference import Reference, with_golden

__all__ = ["Reference", "with_golden"]
