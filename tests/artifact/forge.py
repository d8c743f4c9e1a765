"""Takes files apart and puts forged ones together, with a checksum that is right."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from typing import Any

import numpy as np
import safetensors.numpy

from rlcompress.artifact import Golden, file
from rlcompress.artifact.writer import PROGRAM_DICTIONARY

Program = dict[str, Any]


def seal(body: bytes) -> bytes:
    """``body`` with its checksum."""
    return body + hashlib.sha256(body).digest()


def take_apart(data: bytes) -> tuple[Program, bytes]:
    """Program and streams of a file."""
    payload = safetensors.numpy.load(data)["policy"].tobytes()[:-32]
    length = struct.unpack("<I", payload[:4])[0]
    text = zlib.decompressobj(-15, PROGRAM_DICTIONARY).decompress(payload[4 : 4 + length])
    return json.loads(text), payload[4 + length :]


def pack_program(program: object, streams: bytes) -> bytes:
    """What the tensor ``policy`` holds, less the checksum; bytes and strings are taken as JSON."""
    text = program if isinstance(program, bytes) else json.dumps(program).encode()
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15, 9, 0, PROGRAM_DICTIONARY)
    packed = compressor.compress(text) + compressor.flush()
    return struct.pack("<I", len(packed)) + packed + streams


def forge(program: object, streams: bytes, golden: Golden | None = None) -> bytes:
    """A file whose framing and checksum are beyond reproach."""
    return file.frame(pack_program(program, streams), golden, {})


def forge_tensors(tensors: dict[str, Any], metadata: dict[str, str]) -> bytes:
    """A safetensors file with a checksum at its end, inside whatever tensor lies there."""
    data = safetensors.numpy.save(tensors, metadata)
    return seal(bytes(data)[:-32])


def as_bytes(array: Any) -> Any:
    return np.frombuffer(array, np.uint8)
