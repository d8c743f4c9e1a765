"""Every form in which a policy leaves, as something that runs observations; compares nothing.

A form that cannot run here (a package or a compiler is missing) raises ``Missing`` with what to
install.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Literal

import numpy as np

from rlcompress.artifact import AnyArray, CompressedPolicy, Flatten
from rlcompress.bench.format_policies import Recorded
from rlcompress.export.c_size import code_size
from rlcompress.export.c_source import CSource, to_c, write_files
from rlcompress.export.onnx_qdq import Precision, to_onnx
from rlcompress.runtime.engine import Engine

Likeness = Literal["exact", "steps", "float"]
"""To the bit; within one quantisation step; within what float32 sums in another order give."""

Run = Callable[[AnyArray], tuple[AnyArray, AnyArray, dict[int, AnyArray]]]
"""Raw outputs, actions, and quantised values by their number, of a batch of observations."""

PEERS = "pip install 'rlcompress[peers]'"

_MAIN = Template("""\
#include <stdio.h>
#include "${p}.h"
int main(void) {
  static ${p}_scratch scratch;
  static ${p}_observation_element observation[${P}_OBSERVATION_SIZE];
  static ${p}_action_element action[${P}_ACTION_SIZE];
  while (fread(observation, sizeof observation, 1, stdin) == 1) {
    int32_t status;
    const float *outputs = rlc_run(&${p}_policy, observation, &scratch, &status);
    if (!outputs) return 2;
    fwrite(outputs, sizeof *outputs, ${P}_OUTPUT_SIZE, stdout);
    if (${p}_act(observation, action, &scratch) != RLC_OK) return 3;
    fwrite(action, sizeof action, 1, stdout);
  }
  return 0;
}
""")


class Missing(RuntimeError):
    """A form cannot run on this machine; the message says what it needs."""


@dataclass(frozen=True)
class Form:
    """A policy in one form: its bytes, what they are, how like the policy it must be, its run.

    ``floating`` says that it is the network without its quantisation that is meant.
    """

    name: str
    size_bytes: int
    note: str
    likeness: Likeness
    run: Run
    floating: bool = False


FORMS = (
    "rlc, engine",
    "C99",
    "ONNX int8, onnxruntime",
    "ONNX int8, OpenVINO",
    "ONNX float, onnxruntime",
    "ONNX float, OpenVINO",
    "SB3",
)


def matches(wanted: str, name: str) -> bool:
    """Whether a form is meant by part of its name."""
    return wanted.lower() in name.lower()


def forms(
    recorded: Recorded, resources: ExitStack, wanted: Sequence[str] = ()
) -> list[Form | tuple[str, str]]:
    """The ``wanted`` forms of a policy (none: all), those that cannot run as name and reason."""
    policy = recorded.policy
    builders: tuple[Callable[[], Form], ...] = (
        lambda: _engine(policy),
        lambda: _c(policy, resources),
        lambda: _onnx(policy, "int8", _onnxruntime),
        lambda: _onnx(policy, "int8", _openvino),
        lambda: _onnx(policy, "float", _onnxruntime),
        lambda: _onnx(policy, "float", _openvino),
        lambda: _sb3(recorded),
    )
    found: list[Form | tuple[str, str]] = []
    for name, build in zip(FORMS, builders, strict=True):
        if wanted and not any(matches(part, name) for part in wanted):
            continue
        if name == "SB3" and recorded.model is None:
            continue
        try:
            found.append(build())
        except Missing as error:
            found.append((name, str(error)))
    return found


def quantised(policy: CompressedPolicy) -> list[int]:
    """Numbers of the values that ops of a policy round to integers.

    Flattened images are left out: their order is the graph's own, and what they flatten is here.
    """
    return [
        index + 1
        for index, op in enumerate(policy.ops)
        if op.output.kind != "float" and not isinstance(op, Flatten)
    ]


def _engine(policy: CompressedPolicy) -> Form:
    engine = Engine(policy)

    def run(observations: AnyArray) -> Any:
        return engine.forward(observations), engine(observations), {}

    return Form("rlc, engine", policy.size.policy_bytes, "", "exact", run)


def _c(policy: CompressedPolicy, resources: ExitStack) -> Form:
    compiler = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    if compiler is None:
        raise Missing("needs a C compiler")
    source = to_c(policy, "policy")
    folder = Path(resources.enter_context(tempfile.TemporaryDirectory()))
    program = _compiled(source, folder, compiler)
    discrete = policy.action.kind == "argmax"
    size = policy.values[-1].size
    kind, count = ("<i4", 1) if discrete else ("<f4", size)
    row = np.dtype([("outputs", "<f4", (size,)), ("actions", kind, (count,))])
    element = np.uint8 if policy.observation.image else np.float32

    def run(observations: AnyArray) -> Any:
        given = np.ascontiguousarray(observations, element).tobytes()
        done = subprocess.run([program], input=given, capture_output=True, check=True)
        rows = np.frombuffer(done.stdout, row)
        actions = rows["actions"].reshape(len(rows), *policy.action.shape)
        return rows["outputs"], actions, {}

    code = code_size(source)
    note = "" if code is None else f"+ {code.code_bytes:,} of code"
    return Form("C99", sum(source.data_bytes.values()), note, "exact", run)


def _compiled(source: CSource, folder: Path, compiler: str) -> str:
    """The program, with everything switched on that may tempt a compiler to change results."""
    write_files(source, folder)
    (folder / "main.c").write_text(_MAIN.substitute(p=source.name, P=source.name.upper()))
    files = [str(folder / name) for name in ("main.c", "rlc.c", "rlc_layers.c")]
    program = str(folder / "main")
    options = ["-std=gnu11", "-O3", "-march=native"]
    done = subprocess.run(
        [compiler, *options, *files, "-o", program], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Missing(f"{Path(compiler).name} failed: {done.stderr.strip()[:200]}")
    return program


def _onnx(
    policy: CompressedPolicy,
    precision: Precision,
    start: Callable[[Any], Callable[[AnyArray], Any]],
) -> Form:
    try:
        model = to_onnx(policy, precision=precision)
    except ImportError:
        raise Missing(PEERS) from None
    size = model.ByteSize()
    # The same graph, of which more is visible: raw outputs and what was rounded.
    model = to_onnx(policy, precision=precision, with_action=False)
    values = quantised(policy) if precision == "int8" else []
    call, act_ = start(_showing(model, policy, values)), start(to_onnx(policy, precision=precision))
    shipped = start(to_onnx(policy, precision=precision, with_action=False))
    element = np.uint8 if policy.observation.image else np.float32

    def run(observations: AnyArray) -> Any:
        observations = observations.astype(element, copy=False)
        inner = dict(zip(values, call(observations)[1:], strict=True)) if values else {}
        held = {value: _in_layout(inner[value], policy, value) for value in values}
        return shipped(observations)[0], act_(observations)[0], held

    runtime = {"_onnxruntime": "onnxruntime", "_openvino": "OpenVINO"}[start.__name__]
    likeness: Likeness = "steps" if values else "float"
    floating = precision == "float"
    return Form(f"ONNX {precision}, {runtime}", size, "", likeness, run, floating)


def _showing(model: Any, policy: CompressedPolicy, values: list[int]) -> Any:
    """``model`` with quantised values among its outputs."""
    import onnx

    for value in values:
        name = policy.ops[value - 1].name
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    return model


def _in_layout(tensor: AnyArray, policy: CompressedPolicy, value: int) -> AnyArray:
    """Integers of a graph's tensor as the policy holds them."""
    integers = tensor.astype(np.int16)
    if policy.values[value].kind == "signed":
        integers = integers - np.int16(128)
    return integers.transpose(0, 2, 3, 1) if integers.ndim == 4 else integers


def _onnxruntime(model: Any) -> Callable[[AnyArray], Any]:
    try:
        import onnxruntime
    except ImportError:
        raise Missing(PEERS) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # Without it sums saturate on processors that lack int8 dot products.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda observations: session.run(None, {"observation": observations})


def _openvino(model: Any) -> Callable[[AnyArray], Any]:
    try:
        import openvino
    except ImportError:
        raise Missing(PEERS) from None
    core = openvino.Core()
    options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", options)
    return lambda observations: [np.array(one) for one in compiled(observations).to_tuple()]


def _sb3(recorded: Recorded) -> Form:
    import torch

    from rlcompress.sb3.actors import actor_of
    from rlcompress.sb3.observations import as_prepared, as_seen

    model, policy = recorded.model, recorded.policy
    assert model is not None
    actor = actor_of(model)

    def run(observations: AnyArray) -> Any:
        seen = as_seen(model, observations, recorded.vec_normalize)
        with torch.no_grad():
            outputs = actor.forward(as_prepared(model, seen)).cpu().numpy()
        actions, _ = model.policy.predict(seen, deterministic=True)
        return outputs.reshape(len(seen), -1), np.asarray(actions), {}

    quantised_ = bool(quantised(policy))
    note = "the zip" if recorded.zip_bytes else "in memory"
    likeness: Likeness = "steps" if quantised_ else "float"
    return Form("SB3", recorded.zip_bytes or 0, note, likeness, run)
