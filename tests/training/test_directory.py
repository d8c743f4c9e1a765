import json

import pytest

from rlcompress.training.directory import TRACES, RunDirectory


def test_a_fresh_directory_is_free(tmp_path):
    RunDirectory(tmp_path / "none").check_free()
    (tmp_path / "error.txt").write_text("of an attempt that never started")
    RunDirectory(tmp_path).check_free()


@pytest.mark.parametrize("name", TRACES)
def test_whatever_a_run_leaves_marks_its_directory(tmp_path, name):
    (tmp_path / name).write_text("")
    with pytest.raises(ValueError, match=rf"holds another run \({name}\).*resume=true"):
        RunDirectory(tmp_path).check_free()


def test_a_file_is_no_directory(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        RunDirectory(tmp_path / "run").check_free()


def test_nothing_to_resume(tmp_path):
    with pytest.raises(ValueError, match="holds no checkpoint"):
        RunDirectory(tmp_path).check_resumable()


def test_a_run_describes_itself(tmp_path):
    RunDirectory(tmp_path / "run").describe("python -m x", {"config.yaml": "a: 1\n"})
    assert (tmp_path / "run/.hydra/config.yaml").read_text() == "a: 1\n"
    assert (tmp_path / "run/command.txt").read_text() == "python -m x\n"
    found = json.loads((tmp_path / "run/environment.json").read_text())
    assert found["packages"]["torch"]
    assert found["cores"] >= 1
    with pytest.raises(ValueError, match="another run"):
        RunDirectory(tmp_path / "run").check_free()


def changed_since(directory, **packages):
    """As if the run had begun with other packages."""
    path = directory.path / "environment.json"
    record = json.loads(path.read_text())
    now = dict(record["packages"])
    record["packages"] |= packages
    path.write_text(json.dumps(record))
    return now


def test_what_changed_since_a_run_began_is_named_and_written_down(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    directory.describe("python -m x", {"config.yaml": ""})
    assert directory.note_changes() == []
    assert "changed" not in directory.record()
    now = changed_since(directory, torch="1.0")
    for _ in range(2):
        assert directory.note_changes() == [f"torch 1.0 -> {now['torch']}"]
    assert directory.record()["changed"] == [f"torch 1.0 -> {now['torch']}"]


def test_a_run_knows_what_another_began_it_with(tmp_path):
    first, second = RunDirectory(tmp_path / "first"), RunDirectory(tmp_path / "second")
    for directory in (first, second):
        directory.describe("python -m x", {"config.yaml": ""})
    now = changed_since(first, numpy="0.1")
    assert second.go_on_after(60, first.record()) == [f"numpy 0.1 -> {now['numpy']}"]
    begun = second.record()["begun_by"]
    assert (begun["steps"], begun["packages"]["numpy"]) == (60, "0.1")
    assert second.record()["packages"] == now
