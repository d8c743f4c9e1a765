"""The ``.rlc`` file: safetensors framing, version, checksum, golden data, meta, atomic writing.

Owns bytes around the program (``writer.py``, ``reader.py``) and decides nothing about policies.

A file is plain safetensors, so any of its tools can list it: ``policy`` (the program with its
streams), ``golden.observations``, ``golden.outputs``, ``golden.actions`` and ``meta`` (JSON), the
last four optional. Its metadata hold the format's version. ``policy`` lies last and ends with the
SHA-256 of every byte of the file before it. There is no pickle.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import struct
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from rlcompress.artifact.fields import parse_object
from rlcompress.artifact.reader import read_program
from rlcompress.artifact.records import AnyArray, Golden, PolicyData
from rlcompress.artifact.validate import meta_bytes

FORMAT_VERSION = "1"
FILE_LIMIT = 2**30
"""Most bytes of a file."""

_VERSION_KEY = "rlcompress"
_DIGEST_BYTES = 32
_HEADER_LIMIT = 2**16
_GOLDEN = ("golden.observations", "golden.outputs", "golden.actions")


def frame(program: bytes, golden: Golden | None, meta: Mapping[str, Any]) -> bytes:
    """The bytes of a file."""
    blank = bytes(_DIGEST_BYTES)
    tensors: dict[str, AnyArray] = {"policy": np.frombuffer(program + blank, np.uint8)}
    encoded = meta_bytes(meta)
    if encoded:
        tensors["meta"] = np.frombuffer(encoded, np.uint8)
    if golden is not None:
        arrays = (golden.observations, golden.outputs, golden.actions)
        tensors |= {
            name: np.ascontiguousarray(array) for name, array in zip(_GOLDEN, arrays, strict=True)
        }
    data = bytes(safetensors.numpy.save(tensors, {_VERSION_KEY: FORMAT_VERSION}))
    assert data.endswith(program + blank), "safetensors must put the tensor 'policy' last"
    body = data[:-_DIGEST_BYTES]
    if len(data) > FILE_LIMIT:
        raise ValueError(f"a policy must fit {FILE_LIMIT} bytes, got {len(data)}")
    return body + hashlib.sha256(body).digest()


def unframe(data: bytes) -> PolicyData:
    """The unchecked policy of a file's bytes; ValueError where ``frame`` did not write them."""
    _check_version(data)
    body = memoryview(data)[:-_DIGEST_BYTES]
    if hashlib.sha256(body).digest() != data[-_DIGEST_BYTES:]:
        raise ValueError("its checksum is wrong: it is damaged or cut short; export it again")
    try:
        tensors = safetensors.numpy.load(data)
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"it is not valid safetensors ({error})") from None
    program = _bytes_of(tensors, "policy")
    golden = _golden_of(tensors)
    meta = parse_object(_bytes_of(tensors, "meta"), "meta") if "meta" in tensors else {}
    if tensors:
        raise ValueError(
            f"it holds a tensor {next(iter(tensors))!r:.40} that does not belong there"
        )
    return replace(read_program(program[:-_DIGEST_BYTES]), golden=golden, meta=meta)


def _check_version(data: bytes) -> None:
    """ValueError unless ``data`` begins like a file of ours in a version known here."""
    length = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else _HEADER_LIMIT + 1
    if length > min(_HEADER_LIMIT, len(data) - 8 - _DIGEST_BYTES):
        raise ValueError("it is not an .rlc file, or is cut short")
    try:
        header = parse_object(data[8 : 8 + length], "its header")
    except ValueError as error:
        raise ValueError(f"it is not an .rlc file, or is damaged: {error}") from None
    metadata = header.get("__metadata__")
    version = metadata.get(_VERSION_KEY) if isinstance(metadata, dict) else None
    if version is None:
        raise ValueError("it is a safetensors file, but not a policy of rlcompress")
    if version != FORMAT_VERSION:
        raise ValueError(
            f"it is of format {version!r:.40}, this rlcompress reads format {FORMAT_VERSION!r}: "
            "update rlcompress, or export the policy again"
        )


def _bytes_of(tensors: dict[str, AnyArray], name: str) -> bytes:
    array = tensors.pop(name, None)
    if array is None or array.dtype != np.uint8 or array.ndim != 1:
        raise ValueError(f"it must hold bytes named {name!r}")
    return array.tobytes()


def _golden_of(tensors: dict[str, AnyArray]) -> Golden | None:
    arrays = [tensors.pop(name, None) for name in _GOLDEN]
    if all(array is None for array in arrays):
        return None
    observations, outputs, actions = arrays
    if observations is None or outputs is None or actions is None:
        raise ValueError(f"it must hold all of {', '.join(_GOLDEN)}, or none")
    return Golden(observations, outputs, actions)


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file that is not absurdly large; OSError where there is none."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")
        if status.st_size > FILE_LIMIT:
            raise ValueError(f"it has {status.st_size} bytes, a policy has at most {FILE_LIMIT}")
        return file.read(FILE_LIMIT)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: beside it, to disk, then renamed over ``path``."""
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "No such directory", str(path.parent))
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    """Make a rename in ``directory`` outlast a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
