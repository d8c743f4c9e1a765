"""Looks for a policy file that does anything but load or be refused, guided by coverage.

    python -m tests.slow.fuzz_artifact SECONDS [DIRECTORY]

Needs atheris (``pip install atheris``; Linux, x86-64). Inputs begin with policies of every kind,
and are changed byte by byte or, where they hold a program, value by value: a checksum and the
syntax of JSON would keep random bytes out. An input that breaks the rules is left in
DIRECTORY/crash-...; it belongs into tests/artifact/test_hostile.py.
"""

from __future__ import annotations

import copy
import json
import random
import struct
import sys
from pathlib import Path
from typing import Any

import atheris
import numpy as np

from tests.slow.finders import plain_finders

with plain_finders(), atheris.instrument_imports(include=["rlcompress.artifact", "safetensors"]):
    from rlcompress.artifact import CompressedPolicy

from tests.artifact.forge import pack_program, seal, take_apart
from tests.artifact.test_hostile import NUMBERS, OTHERS, WORDS, places
from tests.binary.networks import seeded_policy
from tests.policies import KINDS, random_policy

LARGEST = 1 << 14
BINARY = 6
"""Policies of single bits among them: every code, decoder and depth."""

WHOLE, APART, SEALED = b"\x00", b"\x01", b"\x02"
"""Kinds of inputs: a file as it stands; program, then streams; a file for a new checksum."""

JUNK = [*NUMBERS, *WORDS.split(), *OTHERS]


def apart(program: object, streams: bytes) -> bytes:
    """An input from which a file with a right checksum is made: its program, then its streams."""
    text = json.dumps(program).encode()
    return APART + struct.pack("<H", len(text)) + text + streams


def parts(given: bytes) -> tuple[bytes, bytes]:
    """Program and streams of an input of that kind."""
    length = struct.unpack("<H", given[1:3])[0]
    return given[3 : 3 + length], given[3 + length :]


def file_of(given: bytes) -> bytes:
    """The file that an input stands for."""
    if given[:1] == SEALED:
        return seal(given[1:-32])
    if given[:1] != APART or len(given) < 3:
        return given[1:]
    from rlcompress.artifact.file import frame

    return frame(pack_program(*parts(given)), None, {})


def change_(program: Any, rng: random.Random) -> None:
    """One value of a program replaced, nudged, removed or repeated."""
    paths = [path for path in places(program) if path]
    if not paths:
        return
    *path, last = rng.choice(paths)
    parent = program
    for key in path:
        parent = parent[key]
    how = rng.randrange(4)
    if how == 0:
        parent[last] = copy.deepcopy(rng.choice(JUNK))
    elif how == 1 and type(parent[last]) in (int, float):
        parent[last] += rng.choice([-1, 1, 0.5, parent[last]])
    elif how == 2:
        del parent[last]
    elif isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), copy.deepcopy(parent[last]))


def mutate(given: bytes, largest: int, seed: int) -> bytes:
    """The next input to try after ``given``."""
    rng = random.Random(seed)
    if given[:1] == APART and len(given) >= 3 and rng.random() < 0.5:
        text, streams = parts(given)
        try:
            program = json.loads(text)
        except ValueError:
            return bytes(atheris.Mutate(given, largest))
        for _ in range(rng.randint(1, 3)):
            change_(program, rng)
        if len(json.dumps(program)) < 1 << 16:
            return apart(program, streams)[:largest]
    return bytes(atheris.Mutate(given, largest))


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
    """One policy of every kind, in each of the three ways."""
    directory.mkdir(parents=True, exist_ok=True)
    found = {kind: random_policy(np.random.default_rng(0), kind) for kind in KINDS}
    found |= {f"binary_{seed}": seeded_policy(seed) for seed in range(BINARY)}
    for kind, policy in found.items():
        data = policy.to_bytes()
        (directory / f"{kind}-whole").write_bytes(WHOLE + data)
        (directory / f"{kind}-sealed").write_bytes(SEALED + data)
        (directory / f"{kind}-apart").write_bytes(apart(*take_apart(data)))


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
        # Long enough for a machine that stands still now and then; a loop without end is longer.
        "-timeout=300",
        f"-artifact_prefix={directory}/",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], try_input, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
