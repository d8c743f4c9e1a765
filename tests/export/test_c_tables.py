from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlcompress.export import c_tables
from rlcompress.export.c_source import runtime_files
from rlcompress.export.c_tables import Tables, check_name, real, remark, struct_bytes
from tests.export.c_host import compiler


def test_struct_sizes_are_the_compiler_s(tmp_path):
    for file, text in runtime_files().items():
        (tmp_path / file).write_text(text)
    names = sorted(c_tables._STRUCTS)
    checks = [f"_Static_assert(sizeof({n}) == {struct_bytes(n, 8)}, {n!r});" for n in names]
    lines = ['#include "rlc.h"', *(check.replace("'", '"') for check in checks)]
    (tmp_path / "sizes.c").write_text("\n".join(lines))
    subprocess.run([compiler("gcc"), "-fsyntax-only", "sizes.c"], cwd=tmp_path, check=True)


def test_structs_of_a_32_bit_target():
    assert struct_bytes("rlc_store") == 16
    assert struct_bytes("rlc_layer") == 40
    assert struct_bytes("rlc_packed") == 56
    assert struct_bytes("rlc_op") == 16


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_literals_are_read_as_the_same_float(value):
    text = real(value)
    assert re.fullmatch(r"-?\d+(\.\d+)?(e[-+]\d+)?F", text)
    assert "." in text or "e" in text
    assert np.float32(text.removesuffix("F")).tobytes() == np.float32(value).tobytes()


def test_infinities_have_a_name():
    assert (real(np.inf), real(-np.inf)) == ("INFINITY", "-INFINITY")


@pytest.mark.parametrize("name", ["", "2fast", "a-b", "a b", "rlc", "RLC_x", "a*/", "é", 'a"'])
def test_names_that_c_does_not_take(name):
    with pytest.raises(ValueError, match="name of a C export must be"):
        check_name(name)


def test_comments_cannot_be_left():
    assert "*/" not in remark("*/ #error \n//")
    assert "\n" not in remark("a\nb")


def test_arrays_are_wrapped_and_counted():
    tables = Tables("p")
    assert tables.array("numbers", np.arange(1000, dtype=np.int16), "weights") == "p_numbers"
    assert tables.data_bytes["weights"] == 2000
    assert max(map(len, tables.lines)) <= 100
    numbers = [int(n) for line in tables.lines[1:-1] for n in line.split(",") if n.strip()]
    assert numbers == list(range(1000))
