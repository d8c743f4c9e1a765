"""The table and the file that a benchmark ends with."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from rlcompress.bench.rows import report

ROWS = [
    {"name": "first", "time_us": 1.23456, "range": [0.5, 2.0], "hidden": 7},
    {"name": "second", "time_us": 1234.5, "note": "slow"},
]


def printed(**arguments: object) -> str:
    stream = io.StringIO()
    report("A title", ROWS, console=Console(file=stream, width=200), **arguments)  # type: ignore[arg-type]
    return stream.getvalue()


def test_table_has_chosen_columns_under_their_headings() -> None:
    text = printed(columns={"name": "what", "time_us": "us", "missing": "not there"})
    header = next(line for line in text.splitlines() if "what" in line)
    assert header.split() == ["what", "us"]
    assert "1.23" in text and "1234" in text and "slow" not in text


def test_all_columns_of_the_first_row_by_default() -> None:
    text = printed()
    assert "A title" in text and "hidden" in text and "0.5 to 2" in text and "cores" in text


def test_file_holds_rows_and_machine(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "rows.json"
    printed(out=path, columns={"name": "name"})
    content = json.loads(path.read_text())
    assert content["rows"] == ROWS
    assert {"cpu", "cores", "git", "packages", "python"} <= content["machine"].keys()
    assert "numpy" in content["machine"]["packages"]
