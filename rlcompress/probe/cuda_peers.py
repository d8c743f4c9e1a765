"""Backends that run on an NVIDIA GPU: torch in several ways, and onnxruntime's providers.

Three clocks: ``policy`` is wall time from a numpy observation to a numpy action, transfers
included; ``actor`` is wall time from an input on the GPU until the GPU is done; ``kernel`` is what
CUDA events measure of the same, on the GPU.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rlcompress.artifact import AnyArray
from rlcompress.probe.gpu import require_gpu
from rlcompress.probe.onnx_form import INPUT, onnx_bytes
from rlcompress.probe.registry import Request, Runner, Timed, Timer, Unavailable, backend
from rlcompress.probe.subject import Subject

TORCH = "install the CUDA build of torch, see pytorch.org"
ORT = "pip install onnxruntime-gpu"
# Half precision has 11 bits.
HALF = 0.02

_common = functools.partial(backend, form="floating", device="cuda", optional=True)
_cuda = functools.partial(_common, what="actor", install=TORCH)
_provider = functools.partial(_common, what="policy", install=ORT)


@_cuda("cuda_eager", tolerance=2e-3)
def cuda_eager(subject: Subject, request: Request) -> Runner:
    """The network's modules, called one after the other."""
    return torch_runner(_network(subject), "cuda")


@_cuda("cuda_half", tolerance=HALF)
def cuda_half(subject: Subject, request: Request) -> Runner:
    """The same with layers in half precision."""
    network = _network(subject)
    network.half_()
    return torch_runner(network, "cuda")


@_cuda("cuda_compile", tolerance=2e-3)
def cuda_compile(subject: Subject, request: Request) -> Runner:
    """``torch.compile`` on the GPU."""
    network = _network(subject)
    import torch

    return torch_runner(torch.compile(network), "cuda")


@_cuda("cuda_graph", tolerance=2e-3)
def cuda_graph(subject: Subject, request: Request) -> Runner:
    """One captured graph, replayed: a single launch per action."""
    network = _network(subject)
    import torch

    cuda: Any = torch.cuda
    rows = np.arange(request.batch) % len(subject.observations)
    entry = torch.from_numpy(subject.observations[rows]).cuda()
    with torch.inference_mode():
        beside = cuda.Stream()
        beside.wait_stream(cuda.current_stream())
        with cuda.stream(beside):  # Capture wants warmed-up libraries.
            for _ in range(3):
                network(entry)
        cuda.current_stream().wait_stream(beside)
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            result = network(entry)

    def replay(observations: Any) -> Any:
        entry.copy_(observations)
        graph.replay()
        return result

    return torch_runner(replay, "cuda")


@_provider("onnxruntime_cuda", tolerance=2e-3)
def onnxruntime_cuda(subject: Subject, request: Request) -> Runner:
    """The CUDA provider of onnxruntime, float32."""
    return _onnxruntime(subject, "CUDAExecutionProvider")


@_provider("tensorrt", tolerance=HALF)
def tensorrt(subject: Subject, request: Request) -> Runner:
    """TensorRT, through onnxruntime's provider for it."""
    return _onnxruntime(subject, "TensorrtExecutionProvider")


def torch_runner(network: Callable[[Any], Any], device: str) -> Runner:
    """A torch network on ``device``, with transfers, without, and by events where it is a GPU."""
    import torch

    wait: Callable[[], None] = torch.cuda.synchronize if device == "cuda" else _nothing

    def call(observations: Any) -> Any:
        actions = network(observations)
        wait()
        return actions

    def whole(observations: AnyArray) -> Any:
        return network(torch.from_numpy(observations).to(device)).cpu().numpy()

    more = {"policy": Timed(whole)}
    if device == "cuda":
        more["kernel"] = Timed(network, _mover(device), timer=_events(network))
    return Runner(
        call,
        _mover(device),
        lambda argument, returned: returned.cpu().numpy(),
        context=torch.inference_mode,
        more=more,  # type: ignore[arg-type]
    )


def _mover(device: str) -> Callable[[AnyArray], Any]:
    import torch

    return lambda observations: torch.from_numpy(observations).to(device)


def _events(network: Callable[[Any], Any]) -> Timer:
    import torch

    cuda: Any = torch.cuda

    def timed(arguments: Sequence[Any], count: int) -> npt.NDArray[np.int64]:
        taken = np.zeros(count, np.int64)
        start, end = (cuda.Event(enable_timing=True) for _ in range(2))
        for index in range(count):
            start.record()
            network(arguments[index % len(arguments)])
            end.record()
            end.synchronize()
            taken[index] = round(1e6 * start.elapsed_time(end))
        return taken

    return timed


def _network(subject: Subject) -> Any:
    require_gpu()
    import torch

    if not torch.cuda.is_available():
        raise Unavailable(f"torch {torch.__version__} cannot use the GPU ({TORCH})")
    from rlcompress.probe.torch_network import Network

    return Network(subject.floating).eval().cuda()


def _onnxruntime(subject: Subject, provider: str) -> Runner:
    require_gpu()
    import onnxruntime

    if provider not in onnxruntime.get_available_providers():
        raise Unavailable(f"this onnxruntime has no {provider} ({ORT})")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    model = onnx_bytes(subject, "float")
    session = onnxruntime.InferenceSession(model, options, providers=[provider])
    if provider not in session.get_providers():
        raise Unavailable(f"onnxruntime could not start {provider}")
    run = session.run
    return Runner(lambda observations: run(None, {INPUT: observations})[0])


def _nothing() -> None:
    return None
