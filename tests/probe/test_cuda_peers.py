"""The GPU backends: their arithmetic on the CPU, their clocks where there is a GPU."""

from __future__ import annotations

import numpy as np
import pytest

from rlcompress.probe.backends import BACKENDS
from rlcompress.probe.cuda_peers import torch_runner
from rlcompress.probe.gate import argument_of, batches, check
from rlcompress.probe.gpu import gpu_names
from rlcompress.probe.registry import Request, Unavailable
from rlcompress.probe.torch_network import Network
from tests.probe.subjects import subject_of

CUDA = [name for name, backend in BACKENDS.items() if backend.device == "cuda"]


@pytest.mark.parametrize("kind", ["mlp", "mlp_tanh", "conv", "residual"])
@pytest.mark.parametrize("name", ["cuda_eager", "cuda_half"])
def test_networks_compute_the_policy_at_both_levels(name: str, kind: str) -> None:
    subject = subject_of(kind)
    network = Network(subject.floating).eval()
    if name == "cuda_half":
        network.half_()
    runner = torch_runner(network, "cpu")
    with runner.context():
        error = check(runner, BACKENDS[name], subject, Request(), ("policy", "actor"))
    assert error <= BACKENDS[name].tolerance
    assert runner.at("kernel", "actor") is None


@pytest.mark.parametrize("name", CUDA)
def test_without_a_gpu_they_say_so(name: str) -> None:
    if gpu_names():
        pytest.skip("there is a GPU")
    with pytest.raises(Unavailable, match="no NVIDIA GPU here"):
        BACKENDS[name].load(subject_of("mlp"), Request())


@pytest.mark.parametrize("name", CUDA)
def test_on_a_gpu_every_level_is_right_and_timed(name: str) -> None:
    if not gpu_names():
        pytest.skip("no GPU")
    subject, backend = subject_of("conv"), BACKENDS[name]
    try:
        runner = backend.load(subject, Request())
    except (Unavailable, ImportError) as reason:
        pytest.skip(str(reason))
    with runner.context():
        levels = ("policy", "actor", "kernel")
        assert check(runner, backend, subject, Request(), levels) <= backend.tolerance
        kernel = runner.at("kernel", backend.what)
        if kernel is not None:
            rows = batches(len(subject.observations), 1)
            given = [argument_of(kernel, subject.observations[row], single=False) for row in rows]
            assert kernel.timer is not None
            assert np.median(kernel.timer(given, 20)) > 0
