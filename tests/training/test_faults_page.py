"""Every row of docs/faults.md names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs/faults.md"


def rows():
    table = PAGE.read_text().split("| fault |")[1]
    return [line for line in table.splitlines()[2:] if line.startswith("|")]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[2:40].strip())
def test_a_row_names_its_test(row):
    named = re.findall(r"`([^`]+)`", row.split("|")[-2])
    assert named or row.split("|")[-2].strip() == "as above"
    path = None
    for name in named:
        file, _, function = name.partition("::")
        path = TESTS / file if file else path
        found = {
            node.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef)
        }
        assert any(other.startswith("test_") for other in found)
        if function:
            assert function in found, f"{file} has no {function}"
