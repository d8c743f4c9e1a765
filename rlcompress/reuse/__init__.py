"""Frame-to-frame reuse of convolutions: names for use from outside; everything lies in modules."""

from rlcompress.reuse.options import FrameOptions
from rlcompress.reuse.replay import Replay
from rlcompress.reuse.stack import LayerWork, ReuseStack

__all__ = ["FrameOptions", "LayerWork", "Replay", "ReuseStack"]
