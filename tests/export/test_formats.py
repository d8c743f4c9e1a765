from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import gymnasium
import pytest
import torch

import rlcompress
from rlcompress.artifact import CompressedPolicy
from rlcompress.export import __main__ as export
from rlcompress.export import c_report
from rlcompress.export.formats import FORMATS, Options, choose
from tests.export.c_policies import hopper
from tests.sb3.models import make_model


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
        Options(optimise="both")


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
        (["format=onnx", "precision=int4"], "precision must be int8 or float, got 'int4'"),
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


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("damage", ["truncated", "foreign", "version", "nan", "empty"])
def test_wrong_files_are_one_line(damage, format, artifact, tmp_path, capfd):
    data = artifact.read_bytes()
    made = {
        "truncated": data[:-50],
        "foreign": b"\x7fELF" + data,
        "version": data.replace(b'"rlcompress":"1"', b'"rlcompress":"9"'),
        "nan": _with_nan(artifact),
        "empty": b"",
    }
    said = {
        "truncated": "damaged or cut short",
        "foreign": "not an .rlc file",
        "version": "of format '9'",
        "nan": "must be finite",
        "empty": "not an .rlc file",
    }
    artifact.write_bytes(made[damage])
    assert run(f"run={artifact}", f"format={format}", f"out={tmp_path / 'b'}{ENDINGS[format]}") == 2
    err = capfd.readouterr().err
    assert "cannot load" in err and said[damage] in err
    assert err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"actor.rlc"}


ENDINGS = {name: found.suffix for name, found in FORMATS.items()}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("damage", ["truncated", "foreign", "nan", "parameters", "text"])
def test_wrong_zips_are_one_line(damage, format, tmp_path, capfd):
    source = tmp_path / "model.zip"
    _write_zip(source, damage)
    assert run(f"run={source}", f"format={format}") == 2
    err = capfd.readouterr().err
    said = {
        "truncated": "not a Stable-Baselines3 zip (or it is damaged)",
        "foreign": "not a Stable-Baselines3 zip (or it is damaged)",
        "nan": "is not finite; the training has diverged",
        "parameters": "cannot be loaded as PPO",
        "text": "not a Stable-Baselines3 zip (or it is damaged)",
    }
    assert said[damage] in err
    assert err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"model.zip"}


def _write_zip(path: Path, damage: str) -> None:
    """A small model's zip with something wrong."""
    model = make_model("PPO")
    if damage == "nan":
        with torch.no_grad():
            next(model.policy.mlp_extractor.policy_net.parameters())[0] = torch.nan
    model.save(path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-1000])
    elif damage == "text":
        path.write_text("not a zip")
    elif damage in ("foreign", "parameters"):
        with zipfile.ZipFile(path) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            if damage == "foreign":
                entries = {"holiday.txt": b"sun"}
            else:
                entries["policy.pth"] = b"nothing that torch wrote"
            for name, data in entries.items():
                archive.writestr(name, data)


def test_a_run_that_is_not_finished_is_one_line(tmp_path, capfd):
    assert run(f"run={tmp_path}", "format=c") == 2
    err = capfd.readouterr().err
    assert "holds no finished run" in err and err.count("\n") == 1


def test_statistics_beside_a_zip_are_mentioned_and_used(tmp_path, capfd):
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    env = VecNormalize(DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")]))
    env.obs_rms.mean[:] = (1.0, 2.0, 3.0)
    make_model("PPO").save(tmp_path / "model.zip")
    pickle = tmp_path / "model-vecnormalize.pkl"
    env.save(str(pickle))
    assert run(f"run={tmp_path / 'model.zip'}") == 0
    assert f"add vec_normalize={pickle}" in capfd.readouterr().out
    assert CompressedPolicy.load(tmp_path / "model.rlc").observation.mean is None
    assert run(f"run={tmp_path / 'model.zip'}", f"vec_normalize={pickle}") == 0
    assert "note" not in capfd.readouterr().out
    found = CompressedPolicy.load(tmp_path / "model.rlc").observation
    assert found.mean is not None and found.mean.tolist() == [1.0, 2.0, 3.0]
    pickle.write_bytes(b"nothing")
    assert run(f"run={tmp_path / 'model.zip'}", f"vec_normalize={pickle}") == 2
    assert run(f"run={tmp_path / 'model.rlc'}", f"vec_normalize={pickle}") == 2
    err = capfd.readouterr().err.splitlines()
    assert len(err) == 2
    assert "cannot be read" in err[0] and "has its statistics inside" in err[1]


def test_onnx_can_be_float_and_end_in_raw_outputs(artifact, tmp_path, capfd):
    onnx = pytest.importorskip("onnx")
    out = tmp_path / "actor.onnx"
    assert run(f"run={artifact}", f"out={out}") == 0
    said = capfd.readouterr().out
    assert "opset 17, input observation (batch, 11) float, output action (batch, 3) float" in said
    kinds = {node.op_type for node in onnx.load(out).graph.node}
    assert {"QuantizeLinear", "Tanh"} <= kinds
    assert run(f"run={artifact}", f"out={out}", "precision=float", "with_action=false") == 0
    assert "output outputs (batch, 3) float" in capfd.readouterr().out
    kinds = {node.op_type for node in onnx.load(out).graph.node}
    assert not kinds & {"QuantizeLinear", "Tanh"}


def _with_nan(path: Path) -> bytes:
    """The file of a policy with a bias that is not a number, its checksums right."""
    from rlcompress.artifact import file
    from rlcompress.artifact.writer import write_program

    policy = CompressedPolicy.load(path)
    policy.linears[0].bias[0] = float("nan")
    return file.frame(write_program(policy)[0], policy.golden, policy.meta)
