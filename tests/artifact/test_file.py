import errno
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from rlcompress.artifact import CompressedPolicy, file
from tests.artifact.forge import as_bytes, forge_tensors, seal
from tests.artifact.networks import NETWORKS, hopper
from tests.policies import KINDS, assert_same, policies, random_golden, random_policy

load = CompressedPolicy.from_bytes


def example(kind="mlp", seed=0):
    rng = np.random.default_rng(seed)
    policy = random_policy(rng, kind)
    return replace(policy, golden=random_golden(rng, policy))


@given(policies(), st.booleans(), st.integers(0, 2**32 - 1))
def test_policies_come_back(policy, with_golden, seed):
    if with_golden:
        policy = replace(policy, golden=random_golden(np.random.default_rng(seed), policy))
    data = policy.to_bytes()
    found = load(data)
    assert_same(found, policy)
    assert found.to_bytes() == data


@pytest.mark.parametrize("name", NETWORKS)
def test_experiment_networks_come_back(name):
    policy = NETWORKS[name](0.9)
    assert_same(load(policy.to_bytes()), policy)


def test_files_come_back(tmp_path):
    policy = example()
    policy.save(tmp_path / "actor.rlc")
    assert_same(CompressedPolicy.load(str(tmp_path / "actor.rlc")), policy)
    assert os.listdir(tmp_path) == ["actor.rlc"]


@pytest.mark.parametrize("kind", KINDS)
def test_loaded_arrays_are_aligned_and_contiguous(kind):
    for op in load(example(kind).to_bytes()).linears:
        for array in (op.weight, op.multiplier, op.bias):
            assert array.flags.aligned and array.flags.c_contiguous and array.flags.writeable


def test_numpy_numbers_are_stored_like_python_ones():
    policy = example()
    op = policy.ops[0]
    shape = tuple(np.int64(length) for length in op.output.shape)
    output = replace(op.output, shape=shape, scale=np.float32(op.output.scale))
    observation = replace(policy.observation, clip=np.float64(policy.observation.clip))
    twin = replace(policy, ops=(replace(op, output=output), *policy.ops[1:]))
    assert replace(twin, observation=observation).to_bytes() == policy.to_bytes()


def test_the_same_policy_gives_the_same_bytes_in_another_process(tmp_path):
    code = (
        "import hashlib\n"
        "from tests.artifact.test_file import example\n"
        "print(hashlib.sha256(example('residual', 7).to_bytes()).hexdigest())\n"
    )
    expected = hashlib.sha256(example("residual", 7).to_bytes()).hexdigest()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        root = Path(__file__).parents[2]
        command = [sys.executable, "-c", code]
        result = subprocess.run(
            command, env=environment, cwd=root, check=True, capture_output=True, text=True
        )
        assert result.stdout.strip() == expected


def test_any_safetensors_tool_can_list_a_file(tmp_path):
    policy = example()
    policy.save(tmp_path / "actor.rlc")
    with safetensors.safe_open(tmp_path / "actor.rlc", "np") as tensors:
        names = ["golden.actions", "golden.observations", "golden.outputs", "meta", "policy"]
        assert sorted(tensors.keys()) == names
        assert tensors.metadata() == {"rlcompress": "1"}
        np.testing.assert_array_equal(tensors.get_tensor("golden.outputs"), policy.golden.outputs)
        assert json.loads(tensors.get_tensor("meta").tobytes()) == policy.meta


@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation_is_detected(kind):
    data = example(kind).to_bytes()
    for length in {*range(0, len(data), max(1, len(data) // 150)), *range(60), len(data) - 1}:
        with pytest.raises(ValueError, match=r"cut short|damaged"):
            load(data[:length])


def test_every_flipped_bit_is_detected():
    data = replace(example(), golden=None).to_bytes()
    for index in range(len(data)):
        for bit in (1, 2, 4, 8, 16, 32, 64, 128) if index % 7 == 0 else (1, 128):
            damaged = bytearray(data)
            damaged[index] ^= bit
            with pytest.raises(ValueError, match=r"cut short|damaged|not a policy|format|not an"):
                load(bytes(damaged))


def test_appended_bytes_are_detected():
    with pytest.raises(ValueError, match="checksum"):
        load(example().to_bytes() + b"\0")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an .rlc file"),
        (b"PK\3\4" + bytes(500), "not an .rlc file"),
        (os.urandom(1000), "not an .rlc file"),
        (bytes(1000), "not an .rlc file, or is damaged"),
        (b"\xff" * 1000, "not an .rlc file"),
        (b'\x50\0\0\0\0\0\0\0{"__metadata__":' + b"[" * 500, "not an .rlc file, or is damaged"),
        (b"\x02\0\0\0\0\0\0\0[]" + bytes(500), "not an .rlc file, or is damaged"),
        (b"\x02\0\0\0\0\0\0\0{}" + bytes(500), "not a policy of rlcompress"),
    ],
)
def test_foreign_bytes_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        load(data)


def test_foreign_safetensors_are_refused():
    data = safetensors.numpy.save({"weight": np.zeros((100, 100), np.float32)}, {"format": "pt"})
    with pytest.raises(ValueError, match="a safetensors file, but not a policy of rlcompress"):
        load(data)


def test_a_file_of_another_version_says_what_to_do():
    data = forge_tensors({"policy": as_bytes(bytes(100))}, {"rlcompress": "2"})
    with pytest.raises(ValueError, match="format '2', this rlcompress reads format '1': update"):
        load(data)


GOOD = replace(example(), meta={})


def tensors_of(policy):
    return safetensors.numpy.load(policy.to_bytes())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"policy": None, "zzz": as_bytes(bytes(40))}, "must hold bytes named 'policy'"),
        ({"policy": np.zeros((40, 40), np.uint8)}, "must hold bytes named 'policy'"),
        ({"policy": np.zeros(40, np.float32)}, "must hold bytes named 'policy'"),
        ({"policy": as_bytes(bytes(32))}, "program is longer than the file"),
        ({"policy": as_bytes(bytes(36))}, "compressed stream"),
        ({"policy": as_bytes(b"\xff\xff\xff\xff" + bytes(99))}, "longer than the file"),
        ({"extra": np.zeros(3, np.float32)}, "'extra' that does not belong there"),
        ({"golden.actions": None}, "must hold all of golden.observations"),
        ({"golden.actions": np.zeros((3, 99), np.float32)}, "golden data: actions must be"),
        ({"golden.outputs": np.zeros((0, 3), np.float32)}, "golden data: must hold at least one"),
        ({"golden.outputs": np.zeros((), np.float32)}, "golden data: must hold at least one"),
        ({"meta": np.zeros(3, np.float32)}, "must hold bytes named 'meta'"),
        ({"meta": as_bytes(b"[1, 2]")}, "meta must be a JSON object"),
        ({"meta": as_bytes(b"{")}, "meta is not valid JSON"),
        ({"meta": as_bytes(b'{"a": NaN}')}, "NaN is not a number"),
        ({"meta": as_bytes(b'{"a": 1, "a": 2}')}, "a key occurs twice"),
        ({"meta": as_bytes(b"\xff\xfe")}, "meta is not valid JSON"),
        ({"meta": as_bytes(b'{"a":' + b"[" * 100000)}, "meta is not valid JSON"),
        ({"meta": as_bytes(b'{"a":' + b"9" * 100000 + b"}")}, "meta is not valid JSON"),
    ],
)
def test_forged_tensors_are_refused(change, message):
    tensors = {**tensors_of(GOOD), **change}
    present = {name: array for name, array in tensors.items() if array is not None}
    with pytest.raises(ValueError, match=message) as caught:
        load(forge_tensors(present, {"rlcompress": "1"}))
    assert "\n" not in str(caught.value)


@given(st.data())
def test_forged_headers_never_crash(data):
    body = bytearray(GOOD.to_bytes()[:-32])
    length = body[0] + 256 * body[1]
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, 7 + length))
        body[index] = data.draw(st.sampled_from(b'0129{}[]",:-eE.UIF\0\xff'))
    try:
        assert_same(load(seal(bytes(body))), GOOD)
    except ValueError as error:
        assert "\n" not in str(error)


def test_load_names_the_file(tmp_path):
    path = tmp_path / "actor.rlc"
    path.write_bytes(example().to_bytes()[:-1])
    with pytest.raises(ValueError, match=r"^cannot load .*actor\.rlc: its checksum is wrong"):
        CompressedPolicy.load(path)
    with pytest.raises(FileNotFoundError):
        CompressedPolicy.load(tmp_path / "missing.rlc")
    with pytest.raises(IsADirectoryError):
        CompressedPolicy.load(tmp_path)


def test_huge_and_irregular_files_are_not_read(tmp_path):
    path = tmp_path / "huge.rlc"
    with path.open("wb") as sparse:
        sparse.truncate(file.FILE_LIMIT + 1)
    with pytest.raises(ValueError, match="a policy has at most"):
        CompressedPolicy.load(path)
    if os.path.exists("/dev/zero"):
        with pytest.raises(ValueError, match="not a regular file"):
            CompressedPolicy.load("/dev/zero")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch, step):
    path = tmp_path / "actor.rlc"
    policy = example()
    policy.save(path)
    before = path.read_bytes()

    def fail(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(file.os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        hopper(0.9).save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["actor.rlc"]


def test_an_invalid_policy_is_not_saved(tmp_path):
    policy = example()
    policy.save(tmp_path / "actor.rlc")
    before = (tmp_path / "actor.rlc").read_bytes()
    with pytest.raises(ValueError, match="at least one op"):
        replace(policy, ops=()).save(tmp_path / "actor.rlc")
    assert (tmp_path / "actor.rlc").read_bytes() == before


def test_saving_into_a_missing_directory_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        example().save(tmp_path / "missing" / "actor.rlc")


def test_sizes_add_up_to_the_file():
    policy = example("residual")
    size = policy.size
    assert size.total_bytes == len(policy.to_bytes())
    assert size.policy_bytes == len(replace(policy, golden=None, meta={}).to_bytes())
    golden = policy.golden
    arrays = golden.observations.nbytes + golden.outputs.nbytes + golden.actions.nbytes
    assert arrays < size.golden_bytes < arrays + 300
    assert size.meta_bytes > 0


def test_framing_takes_few_bytes():
    policy = hopper(0.98)
    size = policy.size
    layers = sum(layer.weight_bytes + layer.bias_bytes for layer in size.layers)
    assert size.policy_bytes - layers < 300
    assert size.policy_bytes < 4096
