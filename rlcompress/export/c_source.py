"""Writes a policy as a C header beside the fixed runtime of ``c/``; compiles and runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from rlcompress.artifact import (
    BinaryDense,
    CompressedPolicy,
    Encode,
    Flatten,
    Linear,
    Op,
    entropy_bytes,
)
from rlcompress.artifact.file import write_bytes
from rlcompress.export.c_binary import chain_from, write_chain
from rlcompress.export.c_edges import action_members, check_limits, header, observation_members
from rlcompress.export.c_golden import golden_header
from rlcompress.export.c_layers import Optimise, place, write_op
from rlcompress.export.c_memory import MemoryPlan, plan_memory
from rlcompress.export.c_tables import Tables, check_name, remark

RUNTIME = ("rlc.h", "rlc_internal.h", "rlc.c", "rlc_layers.c")
"""Files of the runtime, the same for every policy."""


@dataclass(frozen=True)
class CSource:
    """An exported policy and what it needs; bytes are those of a target with 32-bit pointers.

    ``data_bytes`` are the header's constants by part: ``weights`` with their indices, ``biases``
    and ``tables`` (everything else). ``entropy_bytes`` is what no encoding of the weights as
    independent numbers could beat.
    """

    name: str
    header: str
    golden: str | None
    optimise: Optimise
    data_bytes: Mapping[str, int]
    entropy_bytes: float
    scratch_bytes: int
    macs: int


def to_c(policy: CompressedPolicy, name: str, *, optimise: Optimise = "size") -> CSource:
    """The C header of ``policy``, whose names begin with ``name``.

    Args:
        policy: what is to run; the header computes the same bits as the reference.
        name: a C identifier, of the header as well.
        optimise: ``size`` packs weights and biases into streams of bits; ``speed`` gives dense
            layers arrays of bytes. Convolutions read each weight only once and are always packed.

    Raises:
        ValueError: where a number does not fit what the runtime counts with.
    """
    check_limits(policy)
    check_name(name)
    tables, plan = Tables(name), plan_memory(policy)
    rows = _ops(policy, plan, tables, optimise)
    ops = tables.structs("rlc_op", "ops", rows) if rows else "NULL"
    last = place(plan.values[-1])
    members = [ops, len(rows), *observation_members(tables, policy.observation, plan.values[0])]
    members += [
        last,
        policy.values[-1].size,
        *action_members(tables, policy.action, policy.values[-1].size),
    ]
    tables.struct("rlc_policy", "policy", members)
    scratch_bytes = max(plan.scratch_bytes, 4)
    source = CSource(
        name,
        header(name, policy, "\n".join(tables.lines), scratch_bytes),
        golden_header(name, policy),
        optimise,
        dict(tables.data_bytes),
        sum(entropy_bytes(op.weight) for op in policy.weighted),
        scratch_bytes,
        sum(_macs(op) for op in policy.weighted),
    )
    return source


def save_c(policy: CompressedPolicy, path: str | Path, *, optimise: Optimise = "size") -> CSource:
    """Write the header at ``path`` and beside it the runtime and ``<name>_golden.h``."""
    path = Path(path)
    if path.suffix != ".h":
        raise ValueError(f"a C export is a header, so its name must end in .h, got {path.name!r}")
    source = to_c(policy, path.stem, optimise=optimise)
    write_files(source, path.parent)
    return source


def write_files(source: CSource, folder: Path) -> None:
    """Write the header, the golden header and the runtime into ``folder``."""
    files = {f"{source.name}.h": source.header, **runtime_files()}
    if source.golden is not None:
        files[f"{source.name}_golden.h"] = source.golden
    for name, text in files.items():
        write_bytes(folder / name, text.encode())


def runtime_files() -> dict[str, str]:
    """The runtime's sources by name."""
    folder = resources.files("rlcompress.export") / "c"
    return {name: (folder / name).read_text() for name in RUNTIME}


def _ops(
    policy: CompressedPolicy, plan: MemoryPlan, tables: Tables, optimise: Optimise
) -> list[list[str]]:
    """Define what each op needs; returns the rows of the table of ops."""
    types, rows = policy.values, []
    for index, op in enumerate(policy.ops):
        if isinstance(op, Encode):
            rows.append(_chain(policy, plan, tables, index, op))
        if isinstance(op, Encode | BinaryDense):
            continue
        if isinstance(op, Flatten):  # Moves nothing: its value lies where its input does.
            continue
        tables.lines.append(f"\n/* {type(op).__name__} {remark(op.name)}{_described(op)} */")
        sources = [types[value] for value in op.inputs]
        kernel, about = write_op(tables, plan, index, op, sources, optimise)
        places = place(plan.values[op.inputs[0]]), place(plan.values[index + 1])
        rows.append([kernel, about, *places])
    tables.lines.append("")
    return rows


def _chain(
    policy: CompressedPolicy, plan: MemoryPlan, tables: Tables, index: int, op: Encode
) -> list[str]:
    """An encoder and its binary layers, the row of one op."""
    layers = chain_from(policy, index)
    widths = " to ".join(str(policy.values[index + k].size) for k in range(len(layers) + 2))
    tables.lines.append(f"\n/* Encode {remark(op.name)}, {len(layers)} of BinaryDense: {widths} */")
    kernel, about = write_chain(tables, plan, index, op, layers)
    ends = plan.values[op.inputs[0]], plan.values[index + 1 + len(layers)]
    return [kernel, about, *map(place, ends)]


def _described(op: Op) -> str:
    if not isinstance(op, Linear):
        return ""
    rows, columns = op.matrix.shape
    return f": {columns} to {rows}, {int((op.matrix != 0).sum())} weights"


def _macs(op: Linear | BinaryDense) -> int:
    """Multiply-accumulates of a layer, those at padded borders included."""
    if isinstance(op, BinaryDense):
        return op.weight.size
    return int((op.matrix != 0).sum()) * (op.output.size // len(op.bias))
