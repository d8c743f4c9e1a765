"""The table of all backends: importing this file is what fills it."""

from rlcompress.probe import c_peer, cuda_peers, native, numpy_peer, onnx_peers, torch_peers
from rlcompress.probe.registry import BACKENDS, Backend, Request, Runner, Unavailable, backend

__all__ = [
    "BACKENDS",
    "Backend",
    "Request",
    "Runner",
    "Unavailable",
    "backend",
    "c_peer",
    "cuda_peers",
    "native",
    "numpy_peer",
    "onnx_peers",
    "torch_peers",
]
