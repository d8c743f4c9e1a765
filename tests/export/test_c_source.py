from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rlcompress.artifact import CompressedPolicy, Conv, Flatten
from rlcompress.export.c_source import runtime_files, save_c, to_c
from tests.export.c_host import STRICT, compiler
from tests.export.c_policies import GOALS, hopper
from tests.policies import random_policy

DOCS = Path(__file__).parents[2] / "docs" / "c_export.md"


def total(policy: CompressedPolicy) -> int:
    return sum(to_c(policy, "actor").data_bytes.values())


def test_hopper_fits_its_budgets():
    source = to_c(hopper(0.98, remove_dead=False), "actor")  # Even if no unit were dead.
    assert sum(source.data_bytes.values()) <= 4500
    assert source.scratch_bytes <= 768  # Of 1 KB; the rest is for the stack.
    assert total(hopper(0.98)) <= 3000
    assert total(hopper(0.99)) <= 1500


@pytest.mark.parametrize("sparsity", [0.5, 0.8, 0.9, 0.95, 0.98, 0.99])
def test_packed_weights_are_near_their_entropy(sparsity):
    source = to_c(hopper(sparsity), "actor")
    assert source.entropy_bytes < source.data_bytes["weights"] < 1.3 * source.entropy_bytes


def test_data_are_counted_to_the_byte():
    """Every array and struct in the header, found by reading it."""
    for goal in GOALS:
        source = to_c(hopper(0.98), "actor", optimise=goal)
        widths = {"float": 4, "int8_t": 1, "uint8_t": 1, "int16_t": 2, "uint16_t": 2}
        arrays = re.findall(r"static const (\w+) \w+\[\] = \{\n(.*?)\n\};", source.header, re.S)
        found = sum(
            widths[kind] * len([word for word in body.split(",") if word.strip()])
            for kind, body in arrays
            if kind in widths
        )
        op = {"size": 56, "speed": 60}[goal]
        assert sum(source.data_bytes.values()) == found + 68 + 3 * (16 + op)


def test_multiply_accumulates():
    policy = hopper(0.98)
    kept = sum(int(np.count_nonzero(op.weight)) for op in policy.linears)
    assert to_c(policy, "actor").macs == kept
    image = random_policy(np.random.default_rng(1), "conv", sparsity=0.5)
    expected = 0
    for op in image.linears:
        positions = op.output.shape[0] * op.output.shape[1] if isinstance(op, Conv) else 1
        expected += int(np.count_nonzero(op.weight)) * positions
    assert to_c(image, "actor").macs == expected


def test_the_documentation_s_program_compiles_and_runs(tmp_path):
    """As it is printed, beside what the documented command writes."""
    program = re.search(r"```c\n(.*?)```", DOCS.read_text(), re.S)
    assert program is not None
    (tmp_path / "main.c").write_text(program[1])
    policy = hopper(0.98)
    save_c(policy, tmp_path / "actor.h")
    command = [compiler("gcc"), "-std=c99", "-O2", *STRICT, "main.c", "rlc.c", "rlc_layers.c"]
    subprocess.run([*command, "-o", "main"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True)
    from rlcompress.runtime import Reference

    expected = Reference(policy)(np.zeros(11, np.float32))
    assert [np.float32(line) for line in done.stdout.split()] == expected.tolist()


def test_the_documentation_s_sketch_compiles(tmp_path):
    sketch = re.search(r"```cpp\n(#include \"actor.h\"\n\nstatic.*?)```", DOCS.read_text(), re.S)
    assert sketch is not None
    board = "void readSensors(float *); void driveMotors(const float *); void stopMotors();"
    (tmp_path / "sketch.cpp").write_text(f"{board}\nvoid delay(int);\n{sketch[1]}")
    save_c(hopper(0.98), tmp_path / "actor.h")
    command = [compiler("g++"), "-std=gnu++11", *STRICT, "-fsyntax-only", "sketch.cpp"]
    subprocess.run(command, cwd=tmp_path, check=True)


def test_the_check_notices_a_wrong_weight(tmp_path):
    policy = hopper(0.98)
    source = to_c(policy, "actor")
    last = replace(policy.ops[-1], bias=policy.ops[-1].bias + 1)
    wrong = to_c(replace(policy, ops=(*policy.ops[:-1], last)), "actor")
    for name, text in {"actor_golden.h": source.golden, **runtime_files()}.items():
        (tmp_path / name).write_text(text or "")
    main = '#include "actor_golden.h"\nstatic actor_scratch s;\n'
    (tmp_path / "main.c").write_text(main + "int main(void) { return actor_check(&s); }")
    for header, expected in ((source.header, 0), (wrong.header, 4)):
        (tmp_path / "actor.h").write_text(header)
        command = [compiler("gcc"), "main.c", "rlc.c", "rlc_layers.c", "-o", "main"]
        subprocess.run(command, cwd=tmp_path, check=True)
        assert subprocess.run([tmp_path / "main"], check=False).returncode == expected


def test_the_runtime_keeps_its_promises():
    for name, text in runtime_files().items():
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        assert not re.search(r"\b(malloc|free|printf|math\.h|stdio\.h|double|goto)\b", code), name
        for line in code.splitlines():  # No variables outside of functions.
            assert not re.match(
                r"(static\s+)?(u?int\d+_t|float|char|unsigned)\s+\w+(\[|;| =)", line
            )


def test_the_runtime_has_no_writable_data(tmp_path):
    for name, text in runtime_files().items():
        (tmp_path / name).write_text(text)
    for file in ("rlc.c", "rlc_layers.c"):
        subprocess.run([compiler("gcc"), "-O2", "-c", file], cwd=tmp_path, check=True)
        listed = subprocess.run(
            [compiler("size"), file.replace(".c", ".o")],
            cwd=tmp_path, check=True, capture_output=True, text=True,
        ).stdout.splitlines()[1].split()  # fmt: skip
        assert listed[1:3] == ["0", "0"]


def test_a_policy_that_only_flattens_reads_the_observation():
    from rlcompress.artifact import Action, Observation, TensorType

    ops = (Flatten("flatten", (0,), TensorType((4,))),)
    policy = CompressedPolicy(ops, Observation((1, 2, 2)), Action("argmax"))
    policy.validate()
    source = to_c(policy, "flat")
    assert "NULL, 0, rlc_check_finite" in source.header
    assert source.golden is None


def test_what_the_runtime_cannot_count():
    policy = hopper(0.98)
    argmax = replace(policy.action, kind="argmax", shape=(), low=None, high=None, start=2**31 - 3)
    with pytest.raises(ValueError, match="actions must fit int32_t"):
        to_c(replace(policy, action=argmax), "actor")
    to_c(replace(policy, action=replace(argmax, start=2**31 - 4)), "actor")
    wide = replace(policy.ops[0], weight=np.zeros((1, 2**24 + 1), np.int8))
    with pytest.raises(ValueError, match="may have 16777216 weights"):
        to_c(replace(policy, ops=(wide,)), "actor")


def test_a_header_s_name_ends_in_h(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.h, got 'actor\.c'"):
        save_c(hopper(0.98), tmp_path / "actor.c")
