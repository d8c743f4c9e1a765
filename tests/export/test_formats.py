from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import rlcompress
from rlcompress.artifact import CompressedPolicy
from rlcompress.export import __main__ as export
from rlcompress.export import c_report
from rlcompress.export.formats import FORMATS, choose, optimise_of
from tests.export.c_policies import hopper


def run(*words: str) -> int:
    before, sys.argv = sys.argv, ["export", *words]
    try:
        return export.main()
    finally:
        sys.argv = before


@pytest.fixture
def artifact(tmp_path) -> Path:
    path = tmp_path / "actor.rlc"
    hopper(0.98).save(path)
    return path


@pytest.fixture
def no_tools(monkeypatch, tmp_path):
    """A machine without compilers."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def test_formats_go_by_name_or_by_ending(tmp_path):
    source = tmp_path / "sac-Hopper-v4.zip"
    assert choose(None, source, None) == (FORMATS["rlc"], tmp_path / "sac-Hopper-v4.rlc")
    assert choose("onnx", source, None) == (FORMATS["onnx"], tmp_path / "sac-Hopper-v4.onnx")
    assert choose("c", source, None) == (FORMATS["c"], tmp_path / "sac_Hopper_v4.h")
    assert choose("c", tmp_path / "2nd.rlc", None)[1].name == "policy_2nd.h"
    assert choose(None, source, f"{tmp_path}/a.h") == (FORMATS["c"], tmp_path / "a.h")
    assert choose("c", source, f"{tmp_path}/a.h") == (FORMATS["c"], tmp_path / "a.h")


@pytest.mark.parametrize(
    ("name", "out", "said"),
    [
        ("C++", None, r"format must be one of rlc, onnx, c, got 'C\+\+'"),
        ("c", "a.onnx", r"out must end in \.h, got 'a\.onnx'"),
        (None, "a.txt", r"out must end in \.rlc or \.onnx or \.h, got 'a\.txt'"),
        (None, "none/a.h", "there is no directory"),
    ],
)
def test_formats_that_do_not_exist(name, out, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        choose(name, tmp_path / "actor.rlc", None if out is None else f"{tmp_path}/{out}")
    with pytest.raises(ValueError, match="optimise must be size or speed, got 'both'"):
        optimise_of("both")


def test_the_package_is_the_function(tmp_path):
    """Whichever is imported first, its modules or the name."""
    policy = hopper(0.98)
    for name in ("a.rlc", "a.onnx", "a.h"):
        assert rlcompress.export(policy, tmp_path / name) == tmp_path / name
    assert CompressedPolicy.load(tmp_path / "a.rlc").to_bytes() == policy.to_bytes()
    assert (tmp_path / "a_golden.h").is_file()
    with pytest.raises(ValueError, match=r"one of \.rlc, \.onnx, \.h, got 'a\.c'"):
        rlcompress.export(policy, tmp_path / "a.c")
    with pytest.raises(ValueError, match="optimise must be size or speed"):
        rlcompress.export(policy, tmp_path / "a.h", optimise="both")
    code = (
        "from rlcompress import export; import rlcompress.export.formats; assert callable(export)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_command_writes_c_and_says_what_it_takes(artifact, tmp_path, no_tools, capfd):
    assert run(f"run={artifact}", "format=c") == 0
    said = capfd.readouterr().out
    written = {path.name for path in tmp_path.iterdir() if path.is_file()}
    sources = {"rlc.h", "rlc_internal.h", "rlc.c", "rlc_layers.c"}
    assert written == {"actor.rlc", "actor.h", "actor_golden.h", *sources}
    assert "bytes of data (biases" in said
    assert "bytes of scratch" in said
    assert "multiply-accumulates an action" in said
    assert "entropy allows" in said
    assert said.count(" fits ") == len(c_report.BOARDS)
    assert "code unknown (no compiler found)" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["format=c", "optimise=both"], "optimise must be size or speed"),
        (["format=basic"], "format must be one of"),
        (["out=actor-1.h"], "name of a C export"),
        (["out=rlc.h"], "begin with a letter and not with 'rlc'"),
        (["out=actor.c"], "out must end in"),
    ],
)
def test_wrong_requests_are_one_line(words, said, artifact, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert run(f"run={artifact}", *words) == 2
    err = capfd.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"actor.rlc"}


@pytest.mark.parametrize("damage", ["truncated", "foreign", "version", "nan"])
def test_wrong_files_are_one_line(damage, artifact, tmp_path, capfd):
    data = artifact.read_bytes()
    if damage == "truncated":
        artifact.write_bytes(data[:-50])
    elif damage == "foreign":
        artifact.write_bytes(b"\x7fELF" + data)
    elif damage == "version":
        artifact.write_bytes(data[:4] + b"\xff" + data[5:])
    else:
        artifact.write_bytes(_with_nan(artifact))
    assert run(f"run={artifact}", "format=c") == 2
    err = capfd.readouterr().err
    assert "cannot load" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "actor.h").exists()


def _with_nan(path: Path) -> bytes:
    """The file of a policy with a bias that is not a number, its checksums right."""
    from rlcompress.artifact import file
    from rlcompress.artifact.writer import write_program

    policy = CompressedPolicy.load(path)
    policy.linears[0].bias[0] = float("nan")
    return file.frame(write_program(policy)[0], policy.golden, policy.meta)
