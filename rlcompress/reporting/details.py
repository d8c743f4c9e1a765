"""What only single runs are asked for: their schedule, their quantisation errors, their machine."""

from __future__ import annotations

import logging
from typing import Any

import yaml

from rlcompress.reporting.run import CONFIG, Run
from rlcompress.spec import PolynomialSchedule

_TAG = "quantization_error/"


def configuration(run: Run) -> dict[str, Any]:
    """The resolved configuration, {} where it is missing or damaged."""
    try:
        found = yaml.safe_load(run.text(CONFIG))
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def schedule_of(run: Run) -> PolynomialSchedule:
    """The run's pruning schedule; the default where its configuration does not say."""
    asked = configuration(run).get("pruning") or {}
    default = PolynomialSchedule()
    try:
        return PolynomialSchedule(
            begin=float(asked.get("begin", default.begin)),
            end=float(asked.get("end", default.end)),
            updates=int(asked.get("updates") or default.updates),
            power=float(asked.get("power", default.power)),
            initial=float(asked.get("initial", default.initial)),
        )
    except (TypeError, ValueError):
        return default


def quantisation_errors(run: Run) -> dict[str, float]:
    """Last recorded error of each rounded tensor, from the run's TensorBoard file."""
    # Imported here: it takes a second, and most of a report does without.
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    if not list(run.path.glob("events.out.tfevents.*")):
        return {}
    logging.getLogger("tensorboard").setLevel(logging.WARNING)
    sizes = {"scalars": 0, "images": 1, "histograms": 1, "tensors": 1}
    events = EventAccumulator(str(run.path), size_guidance=sizes)
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.startswith(_TAG)]
    return {tag.removeprefix(_TAG): float(events.Scalars(tag)[-1].value) for tag in tags}


def environment(run: Run) -> dict[str, str]:
    """Versions, CPU and commit that the run was made with, as strings by name."""
    record = run.read_json("environment.json")
    packages = record.pop("packages", {})
    begun, changed = record.pop("begun_by", {}), record.pop("changed", [])
    if begun:
        record["begun by"] = f"{begun.get('steps')} steps of another run, git {begun.get('git')}"
    if changed:
        record["changed"] = "; ".join(changed)
    flat = {**record, **(packages if isinstance(packages, dict) else {})}
    return {str(name): str(value) for name, value in flat.items() if value is not None}
