"""Compiles exported policies for a machine that can run programs, and runs them on observations."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rlcompress.artifact import AnyArray, CompressedPolicy, FloatArray
from rlcompress.export.c_source import CSource, write_files
from rlcompress.runtime import Reference

STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")

# Reads observations of policy argv[1]; writes for each its status, its outputs and its action.
# The scratch buffer holds nonsense before each call.
_MAIN = """
static int run_{p}(void) {{
  static {p}_scratch scratch;
  static {p}_observation_element observation[{P}_OBSERVATION_SIZE];
  static {p}_action_element action[{P}_ACTION_SIZE];
  static float outputs[{P}_OUTPUT_SIZE];
  while (fread(observation, sizeof observation, 1, stdin) == 1) {{
    int32_t status;
    memset(&scratch, 0xA5, sizeof scratch);
    memset(outputs, 0, sizeof outputs);
    memset(action, 0, sizeof action);
    const float *found = rlc_run(&{p}_policy, observation, &scratch, &status);
    if (found) memcpy(outputs, found, sizeof outputs);
    memset(&scratch, 0x5A, sizeof scratch);
    if ({p}_act(observation, action, &scratch) != status) return 2;
    fwrite(&status, sizeof status, 1, stdout);
    fwrite(outputs, sizeof outputs, 1, stdout);
    fwrite(action, sizeof action, 1, stdout);
  }}
  return 0;
}}
"""


@dataclass(frozen=True)
class Answers:
    """What a program said to a batch of observations, row by row."""

    status: AnyArray
    outputs: FloatArray
    actions: AnyArray


class Program:
    """One executable of several policies; ``prefix`` is what it is run under (an emulator)."""

    def __init__(
        self,
        folder: Path,
        sources: Sequence[CSource],
        compile_: Sequence[str],
        prefix: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.prefix, self.path = list(prefix), folder / "program"
        lines = ["#include <stdio.h>", "#include <stdlib.h>", "#include <string.h>"]
        for source in sources:
            write_files(source, folder)
            lines.append(f'#include "{source.name}_golden.h"')
        lines += [_MAIN.format(p=source.name, P=source.name.upper()) for source in sources]
        lines.append("int main(int argc, char **argv) {\n  if (argc != 2) return 3;")
        for index, source in enumerate(sources):
            lines.append(f"  if (atoi(argv[1]) == {index}) return run_{source.name}();")
            lines.append(f"  if (atoi(argv[1]) == {-index - 1}) {{")
            lines.append(f"    static {source.name}_scratch scratch;")
            lines.append(f"    return {source.name}_check(&scratch);\n  }}")
        lines.append("  return 4;\n}\n")
        (folder / "main.c").write_text("\n".join(lines))
        files = [str(folder / name) for name in ("main.c", "rlc.c", "rlc_layers.c")]
        command = [*compile_, *files, "-o", str(self.path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and not done.stderr, done.stderr

    def __call__(self, index: int, policy: CompressedPolicy, observations: AnyArray) -> Answers:
        given = observations.astype(np.uint8 if policy.observation.image else np.float32)
        done = subprocess.run(
            [*self.prefix, str(self.path), str(index)],
            input=given.tobytes(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        discrete = policy.action.discrete
        outputs = policy.values[-1].size
        kind, size = (np.int32, 1) if discrete else (np.float32, _elements(policy))
        record = np.dtype(
            [("status", "i4"), ("outputs", "f4", (outputs,)), ("actions", kind, (size,))]
        )
        rows = np.frombuffer(done.stdout, record)
        assert len(rows) == len(given)
        return Answers(rows["status"], rows["outputs"], rows["actions"])

    def wrong_golden(self, index: int) -> int:
        """How many golden observations the program itself finds wrong."""
        command = [*self.prefix, str(self.path), str(-index - 1)]
        return subprocess.run(command, check=False).returncode


def assert_equal(program: Program, index: int, policy: CompressedPolicy, seen: AnyArray) -> None:
    """The program's outputs and actions are the reference's, to the bit."""
    reference = Reference(policy)
    found = program(index, policy, seen)
    assert (found.status == -1).all()
    outputs, actions = reference.forward(seen), reference(seen)
    where = f"policy {index} {policy.meta}"
    np.testing.assert_array_equal(found.outputs.view("u4"), outputs.view("u4"), where)
    if policy.action.discrete:
        np.testing.assert_array_equal(found.actions[:, 0], actions, where)
    else:
        expected = np.ascontiguousarray(actions, np.float32).reshape(len(seen), -1)
        np.testing.assert_array_equal(found.actions.view("u4"), expected.view("u4"), where)


def compiler(name: str) -> str:
    """The compiler's path; skips the test where it is not installed."""
    import pytest

    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def _elements(policy: CompressedPolicy) -> int:
    """Elements of a continuous action."""
    assert policy.action.low is not None
    return int(policy.action.low.size)
