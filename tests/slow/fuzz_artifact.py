"""Looks for a policy file that does anything but load or be refused, guided by coverage.

    python -m tests.slow.fuzz_artifact SECONDS [DIRECTORY]

Needs atheris (``pip install atheris``; Linux, x86-64). Inputs begin with policies of every kind. An
input that breaks the rules is left in DIRECTORY/crash-...; it belongs into
tests/artifact/test_hostile.py.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["rlcompress.artifact", "safetensors"]):
    from rlcompress.artifact import CompressedPolicy

from tests.artifact.forge import pack_program, take_apart
from tests.policies import KINDS, random_policy

LARGEST = 1 << 14


def whole(data: bytes) -> bytes:
    """An input that is a file as it stands."""
    return b"\x00" + data


def apart(data: bytes) -> bytes:
    """An input from which a file with a right checksum is made: its program, then its streams."""
    program, streams = take_apart(data)
    text = json.dumps(program).encode()
    return b"\x01" + struct.pack("<H", len(text)) + text + streams


def file_of(given: bytes) -> bytes:
    """The file that an input stands for."""
    if given[:1] != b"\x01" or len(given) < 3:
        return given[1:]
    from rlcompress.artifact.file import frame

    length = struct.unpack("<H", given[1:3])[0]
    return frame(pack_program(given[3 : 3 + length], given[3 + length :]), None, {})


def try_input(given: bytes) -> None:
    """Raise unless the file is refused in one line, or is a policy that survives its own file."""
    try:
        policy = CompressedPolicy.from_bytes(file_of(given))
    except ValueError as error:
        assert "\n" not in str(error) and len(str(error)) < 500, str(error)
        return
    again = CompressedPolicy.from_bytes(policy.to_bytes())
    assert again.to_bytes() == policy.to_bytes()


def write_corpus(directory: Path) -> None:
    """One policy of every kind, as a whole file and taken apart."""
    directory.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        data = random_policy(np.random.default_rng(0), kind).to_bytes()
        (directory / f"{kind}-whole").write_bytes(whole(data))
        (directory / f"{kind}-apart").write_bytes(apart(data))


def main() -> None:
    """Run for the time that the command line gives."""
    seconds = int(sys.argv[1])
    directory = Path(sys.argv[2] if len(sys.argv) > 2 else "build/fuzz")
    corpus = directory / "corpus"
    write_corpus(corpus)
    flags = [
        f"-max_total_time={seconds}",
        f"-max_len={LARGEST}",
        "-rss_limit_mb=2048",
        "-timeout=20",
        f"-artifact_prefix={directory}/",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], try_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
