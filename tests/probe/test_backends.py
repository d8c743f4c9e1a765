"""Every installed backend computes what the policy does, for every kind of policy."""

from __future__ import annotations

import shutil

import pytest

from rlcompress.probe.backends import BACKENDS
from rlcompress.probe.gate import check
from rlcompress.probe.registry import Request, Unavailable
from rlcompress.probe.subject import Subject
from tests.policies import KINDS
from tests.probe.subjects import subject_of

MODULES = {"onnxruntime": "onnxruntime", "openvino": "openvino", "torch": "torch"}
NETWORK_ONLY = [
    "numpy_float",
    "c_dense_float",
    "c_export",
    "torch_eager",
    "torch_script",
    "onnxruntime_float",
    "onnxruntime_int8",
    "openvino_float",
    "openvino_int8",
    "engine",
    "engine_dense",
    "engine_reuse",
    "engine_portable",
]


def error_of(name: str, subject: Subject, request: Request) -> float:
    module = MODULES.get(name.split("_")[0])
    if module is not None:
        pytest.importorskip(module)
    if name.startswith("c_") and shutil.which("gcc") is None:
        pytest.skip("no compiler")
    backend = BACKENDS[name]
    try:
        runner = backend.load(subject, request)
    except Unavailable as reason:
        pytest.skip(str(reason))
    with runner.context():
        return check(runner, backend, subject, request, ("policy", "actor"))


# Compiling takes a second; these kinds have every op and every function between them.
COMPILED_KINDS = ("mlp", "mlp_tanh", "conv_mixed", "residual", "residual_float")
PAIRS = [
    (name, kind)
    for name in NETWORK_ONLY
    for kind in (COMPILED_KINDS if name.startswith("c_") else KINDS)
]


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_actions_are_the_policys(name: str, kind: str) -> None:
    error = error_of(name, subject_of(kind), Request())
    assert error <= BACKENDS[name].tolerance
    if name.startswith(("engine", "c_export")):
        assert error == 0.0


@pytest.mark.parametrize("kind", ["mlp", "residual"])
@pytest.mark.parametrize("name", NETWORK_ONLY)
def test_batches(name: str, kind: str) -> None:
    assert error_of(name, subject_of(kind), Request(batch=4)) <= BACKENDS[name].tolerance


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_own_quantisation_of_onnxruntime(kind: str) -> None:
    # Six observations calibrate badly; here it only has to run and come near.
    assert error_of("onnxruntime_static", subject_of(kind), Request()) < 0.25


def test_c_for_avx2() -> None:
    import platform

    if platform.machine() != "x86_64":
        pytest.skip("not an x86 machine")
    assert error_of("c_dense_float", subject_of("residual"), Request(isa="avx2")) < 1e-3


def test_sb3_needs_its_zip() -> None:
    with pytest.raises(Unavailable, match="needs the SB3 zip"):
        BACKENDS["sb3_predict"].load(subject_of("mlp"), Request())


def test_isa_that_is_not_there() -> None:
    foreign = "neon" if "neon" not in _isas() else "avx2"
    with pytest.raises(Unavailable, match=f"not {foreign}|without a C"):
        BACKENDS[f"engine_{foreign}"].load(subject_of("mlp"), Request())


def test_ours_are_told_from_peers() -> None:
    ours = {name for name, backend in BACKENDS.items() if backend.ours}
    assert {"engine", "engine_dense", "c_dense_float"} <= ours
    assert all(name.startswith(("engine", "c_dense", "c_export")) for name in ours)


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"batch": 0}, "batch must be at least 1"), ({"isa": "sse"}, "isa must be 'native' or")],
)
def test_wrong_requests(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Request(**fields)  # type: ignore[arg-type]


def _isas() -> list[str]:
    from rlcompress.runtime.engine import available_isas

    return available_isas()
