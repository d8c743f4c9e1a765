"""Every form of trained policies against the policies themselves: bytes and parity on long streams.

Entry point ``python -m rlcompress.bench.formats``. Policies and their streams come from
``format_policies``, forms from ``format_runners``, and what counts as equal is in
``format_parity``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from rlcompress import cli
from rlcompress.bench.inference import lists

Row = dict[str, Any]

COLUMNS = {
    "form": "form",
    "bytes": "bytes",
    "not_bit_equal": "other bits",
    "output_steps": "output off, steps",
    "activation_steps": "activations off",
    "following_steps": "then",
    "activations_differ": "how many",
    "action_difference": "action off",
    "actions_differ": "other actions",
    "explained": "too close",
    "holds": "holds",
    "note": "",
}


@dataclass
class Settings:
    """Names as on the command line; lists may be given as ``a,b``."""

    policies: list[str]
    forms: list[str]
    steps: int
    env: str | None
    seed: int
    block: int
    out: str | None


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at the request; returns the benchmark."""
    from rlcompress.bench.format_policies import Recording, find
    from rlcompress.bench.format_runners import FORMS, matches

    if not settings.policies:
        raise ValueError("policies is missing: policies=<run directories, SB3 zips or .rlc files>")
    for name in ("steps", "block"):
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(settings, name)}")
    for name in settings.forms:
        if not any(matches(name, form) for form in FORMS):
            raise ValueError(f"forms must be parts of {'; '.join(FORMS)}, got {name!r}")
    paths = find(settings.policies)
    how = Recording(settings.steps, settings.env, settings.seed)
    return lambda: everything(settings, paths, how)


def everything(settings: Settings, paths: list[Any], how: Any) -> None:
    """Compare all forms of all policies, print a table for each and one of the worst."""
    from rlcompress.bench import rows as tables
    from rlcompress.bench.format_policies import record

    console, found, refused = tables.wide_console(), [], []
    for path in paths:
        try:
            for recorded in record(path, how):
                rows = compare(recorded, settings.block, settings.forms)
                found += rows
                title = f"{recorded.name} in {recorded.env_id}, {settings.steps:,} observations"
                console.print(tables.table(title, rows, COLUMNS))
                if settings.out is not None:  # A long run that is cut short leaves what it has.
                    tables.write(settings.out, found, tables.machine_record())
        except ValueError as error:
            refused.append(f"{path}: {error}")
            console.print(refused[-1], style="red", markup=False, soft_wrap=True)
    tables.report("The worst of all policies", worst(found), columns=WORST, out=None)
    if refused:
        from rlcompress.training.errors import TrainingStopped

        raise TrainingStopped(f"{len(refused)} of {len(paths)} could not be compared")


def compare(recorded: Any, block: int, wanted: Sequence[str] = ()) -> list[Row]:
    """One row per form of one policy; ``wanted`` are parts of forms' names (none: all forms)."""
    from rlcompress.bench.format_parity import Tally
    from rlcompress.bench.format_runners import Form, forms
    from rlcompress.export.dequantise import dequantised
    from rlcompress.runtime.engine import Engine
    from rlcompress.runtime.numerics import act
    from rlcompress.runtime.reference import Reference

    policy, seen = recorded.policy, recorded.observations
    # The engine gives the reference's bits (the first form shows it) many times faster.
    oracle, floating = Reference(policy), Engine(dequantised(policy))
    labels = {"policy": recorded.name, "env": recorded.env_id}
    about = {**labels, "form": "rlc, reference", "bytes": policy.size.policy_bytes}
    rows: list[Row] = [{**about, "observations": len(seen), "note": "what the others are held to"}]
    with ExitStack() as resources:
        found = forms(recorded, resources, wanted)
        ready = [form for form in found if isinstance(form, Form)]
        tallies = [Tally(policy, form.likeness) for form in ready]
        for start in range(0, len(seen), block):
            batch = seen[start : start + block]
            expected = {False: oracle.values(batch), True: [floating.forward(batch)]}
            for form, tally in zip(ready, tallies, strict=True):
                values = expected[form.floating]
                actions = act(policy.action, values[-1].reshape(len(batch), -1))
                tally.add(values, actions, form.run(batch))
    for form, tally in zip(ready, tallies, strict=True):
        sizes = {"bytes": form.size_bytes or None, "note": form.note or None}
        rows.append(
            {**labels, "form": form.name, "likeness": form.likeness, **sizes, **tally.row()}
        )
    missing = [one for one in found if not isinstance(one, Form)]
    return rows + [{**labels, "form": name, "note": reason} for name, reason in missing]


WORST = {
    "form": "form",
    "policies": "policies",
    "observations": "observations",
    "not_bit_equal": "other bits",
    "output_steps": "output off, steps",
    "activation_steps": "activations off",
    "following_steps": "then",
    "activations": "activations",
    "activations_differ": "how many",
    "action_difference": "action off",
    "actions_differ": "other actions",
    "explained": "too close",
    "holds": "holds",
}
LARGEST = ("output_steps", "activation_steps", "following_steps", "action_difference")
"""What of ``WORST`` is not summed."""


def worst(rows: list[Row]) -> list[Row]:
    """For each form sums of what was counted and the largest of what was measured."""
    found: list[Row] = []
    for form in dict.fromkeys(row["form"] for row in rows):
        own = [row for row in rows if row["form"] == form and "holds" in row]
        if not own:
            continue
        total: Row = {"form": form, "policies": len(own)}
        for name in WORST:
            values = [row[name] for row in own if row.get(name) is not None]
            if name in LARGEST and values:
                total[name] = max(values)
            elif name not in ("form", "policies", "holds") and values:
                total[name] = sum(values)
        total["holds"] = f"{sum(row['holds'] for row in own)} of {len(own)}"
        found.append(total)
    return found


def main() -> int:
    """Run the entry point; returns the exit code."""
    sys.argv[1:] = lists(sys.argv[1:], Settings)
    return cli.run(cli.EntryPoint("bench_formats", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
