"""Entry point ``python -m rlcompress.probe``: measures one policy, prints and writes results."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from rlcompress import cli
from rlcompress.artifact.file import write_bytes
from rlcompress.bench.inference import lists
from rlcompress.probe.settings import Plan, Settings, make_plan

if TYPE_CHECKING:
    from rlcompress.probe.record import Samples


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at the request; returns the probe."""
    plan = make_plan(settings)
    return lambda: run(plan)


def run(plan: Plan) -> None:
    """Measure, print, write."""
    # Imported here: --help needs none of what these load.
    from rlcompress.bench.rows import machine_line, machine_record, wide_console
    from rlcompress.probe.record import probe
    from rlcompress.probe.tables import show

    machine, console = machine_record(), wide_console()
    with Progress() as tell:
        record, samples = probe(plan, machine, tell)
    show(record, console)
    console.print(machine_line(machine), style="dim")
    written = write(record, samples if plan.settings.samples else None, plan.out)
    console.print(f"written: {', '.join(map(str, written))}", highlight=False, soft_wrap=True)


def write(record: Mapping[str, Any], samples: Samples | None, out: Path) -> list[Path]:
    """Write the record, the figure and the samples; returns their paths."""
    write_bytes(out, (json.dumps(record, indent=1) + "\n").encode())
    written = [out]
    if record["rows"]:
        from rlcompress.probe.figure import latency_figure

        image = io.BytesIO()
        latency_figure(record).savefig(image, format="png", dpi=150)
        written.append(out.with_suffix(".png"))
        write_bytes(written[-1], image.getvalue())
    if samples:
        packed = io.BytesIO()
        np.savez_compressed(packed, **samples)  # type: ignore[arg-type]
        written.append(out.with_name(f"{out.stem}_samples.npz"))
        write_bytes(written[-1], packed.getvalue())
    return written


class Progress:
    """What is being done, on one line that is overwritten; silent where stderr is no terminal."""

    def __enter__(self) -> Callable[[str], object]:
        console = Console(stderr=True)
        self._status = console.status("starting") if console.is_terminal else None
        if self._status is None:
            return lambda text: None
        self._status.start()
        return self._status.update

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()


def main() -> int:
    """Run the entry point; returns the exit code."""
    sys.argv[1:] = lists(sys.argv[1:], Settings)
    return cli.run(cli.EntryPoint("probe", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
