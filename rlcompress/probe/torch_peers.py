"""Backends that run in torch: the model as SB3 calls it, and the bare network."""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rlcompress.artifact import AnyArray
from rlcompress.probe.registry import Request, Runner, Unavailable, backend
from rlcompress.probe.subject import Subject

if TYPE_CHECKING:
    import torch


# The zip's weights are those before rounding to 8 bits, and plain SB3 rounds no activations.
@backend("sb3_predict", what="policy", form="floating", tolerance=0.1)
def sb3_predict(subject: Subject, request: Request) -> Runner:
    """``model.predict(observation, deterministic=True)``: what users call today."""
    if subject.model_path is None:
        raise Unavailable("needs the SB3 zip that the policy came from")
    if subject.policy.observation.mean is not None:
        raise Unavailable("predict() does not normalise; the policy does")
    _torch(request)
    predict = _plain_model(subject.model_path).predict
    return Runner(
        lambda observation: predict(observation, deterministic=True),
        actions=lambda argument, returned: returned[0],
        single=request.batch == 1,
    )


def _plain_model(path: Path) -> Any:
    """The model as plain SB3 loads it: without fake quantisation, which takes time of its own."""
    from rlcompress.sb3.checkpoint import ENTRY, load

    with tempfile.TemporaryDirectory() as directory:
        plain = Path(directory) / path.name
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(plain, "w") as target:
            for name in source.namelist():
                data = source.read(name)
                if name == ENTRY:
                    kept = {k: v for k, v in json.loads(data).items() if k != "quantisation"}
                    data = json.dumps(kept).encode()
                target.writestr(name, data)
        return load(plain)


@backend("torch_eager", what="actor", form="floating", tolerance=1e-3)
def torch_eager(subject: Subject, request: Request) -> Runner:
    """The network's modules, called one after the other."""
    return _runner(_network(subject, request), request)


@backend("torch_script", what="actor", form="floating", tolerance=1e-3)
def torch_script(subject: Subject, request: Request) -> Runner:
    """Traced, frozen and optimised for inference."""
    torch = _torch(request)
    network = _network(subject, request)
    with torch.inference_mode():
        traced = torch.jit.trace(network, _example(subject, request), check_trace=False)
        frozen = torch.jit.optimize_for_inference(torch.jit.freeze(traced.eval()))
        for _ in range(5):  # TorchScript specialises in its first calls.
            frozen(_example(subject, request))
    return _runner(frozen, request)


@backend("torch_compile", what="actor", form="floating", tolerance=1e-3, optional=True)
def torch_compile(subject: Subject, request: Request) -> Runner:
    """``torch.compile``, which needs a C++ compiler and half a minute."""
    torch = _torch(request)
    compiled = torch.compile(_network(subject, request))
    return _runner(compiled, request)


def _torch(request: Request) -> Any:
    import torch

    torch.set_num_threads(request.threads)
    return torch


def _network(subject: Subject, request: Request) -> torch.nn.Module:
    _torch(request)
    from rlcompress.probe.torch_network import Network

    return Network(subject.floating).eval()


def _example(subject: Subject, request: Request) -> torch.Tensor:
    rows = np.arange(request.batch) % len(subject.observations)
    example: torch.Tensor = _torch(request).from_numpy(subject.observations[rows])
    return example


def _runner(network: Any, request: Request) -> Runner:
    package = _torch(request)

    def actions(argument: object, returned: torch.Tensor) -> AnyArray:
        result: AnyArray = returned.numpy()
        return result

    # Entered once for all calls: entering it costs a microsecond.
    return Runner(network, package.from_numpy, actions, context=package.inference_mode)
