"""Draws the paper's Figures 4, 5 and 6 from result files, and tests its sentence on pairs.

    python experiments/paper/figures.py [<sweep directory>] [<folder for the figures>]

Without a sweep, the packed ones of ``results/`` (``collect.py``), a folder each. Figure 4 is SAC on
MuJoCo, Figure 5 DQN with NatureCNN, Figure 6 DQN with the residual network: the runs say which they
belong to. The authors' curves lie beneath, from ``published.csv`` (means of their runs, read off
their plots; 1 M steps on MuJoCo, 10 M on Atari), however long ours are: pruned at 80 to 89 % of T,
quantised at 110 to 130 %, so that theirs are not of one length. A sweep of allocations gives the
figure that the paper describes and does not show.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from collect import unpacked

from rlcompress.evaluation.paired import compare_pairs
from rlcompress.reporting.figures_allocations import return_by_allocation
from rlcompress.reporting.figures_results import return_against_sparsity
from rlcompress.reporting.inputs import read_runs
from rlcompress.reporting.pairs import differences
from rlcompress.reporting.render import save_picture
from rlcompress.reporting.run import SUMMARY, Run
from rlcompress.reporting.sweep import CHECKPOINTS, WEIGHTS_ONLY, Sweep

HERE = Path(__file__).parent
FIGURES = {"mlp": 4, "nature_cnn": 5, "impala_resnet": 6}
PUBLISHED_STEPS = {"mlp": 1_000_000, "nature_cnn": 10_000_000, "impala_resnet": 10_000_000}
CONVERGED = 0.1
"""Of the published steps; what is shorter is labelled as not converged."""

KINDS = {"pruned": "pruned_at_80_to_89_percent", "quantised": "quantised_at_110_to_130_percent"}
"""Columns of the published numbers, by what they are called here."""


def published(network: str) -> dict[str, dict[str, dict[float, float]]]:
    """The authors' curves for one network: environment, name, sparsity: return."""
    found: dict[str, dict[str, dict[float, float]]] = defaultdict(lambda: defaultdict(dict))
    with (HERE / "published.csv").open() as file:
        for row in csv.DictReader(file):
            if row["network"] != network:
                continue
            for kind, column in KINDS.items():
                value = float(row[column])
                name = f"paper ({PUBLISHED_STEPS[network] // 10**6} M steps), {kind}"
                found[row["env"]][name][float(row["sparsity"])] = value
    return found


def by_network(runs: tuple[Run, ...]) -> dict[str, Sweep]:
    """Runs of the figures' networks, one sweep each."""
    found: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        found[str(run.read_json(SUMMARY).get("network"))].append(run)
    return {name: Sweep(tuple(found[name])) for name in FIGURES if name in found}


def titled(sweep: Sweep, env: str, published_steps: int) -> str:
    """An environment with what its runs were: steps, seeds, and whether that is enough."""
    runs = [run for run in sweep.runs if run.env == env]
    if not runs:
        return f"{env}: the paper's runs alone"
    steps = "/".join(sorted({f"{run.total_timesteps // 1000} k" for run in runs}))
    numbers = sorted({len(found) for found in sweep.of(env).values()})
    seeds = " to ".join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))
    part = max(run.total_timesteps for run in runs) / published_steps
    found = f"{env}: {steps} steps ({100 * part:.2g} % of the paper's)"
    found += f", {seeds} seed{'s' * (numbers[-1] != 1)}"
    return found + (", not converged" if part < CONVERGED else "")


def draw(sweep: Sweep, network: str, out: Path) -> None:
    """One figure as PNG and SVG; the paper's curves of the environments that we ran, if any."""

    def title(env: str) -> str:
        return titled(sweep, env, PUBLISHED_STEPS[network])

    allocations = return_by_allocation(sweep, title)
    if allocations is not None:
        save_picture(allocations, out)
        print(out / f"{allocations.key}.png")
        return
    curves = published(network)
    ours = {env: curves[env] for env in sweep.environments if env in curves}
    picture = return_against_sparsity(sweep, ours or curves, title)
    if picture is not None:
        found = replace(picture, key=f"figure_{FIGURES[network]}")
        save_picture(found, out)
        print(out / f"{found.key}.png")


def sentence(sweep: Sweep) -> Iterator[str]:
    """Whether "pruning with quantisation slightly outperforms pruning", on the pairs there are."""
    for extra, name in (("", "8-bit weights and activations"), (WEIGHTS_ONLY, "8-bit weights")):
        for checkpoint in CHECKPOINTS:
            pairs = differences(sweep, checkpoint, extra)
            if not pairs:
                continue
            yield f"{name}, {checkpoint} checkpoints, quantised minus pruned:"
            for env, seeds in pairs.items():
                yield f"  {env}: {compare_pairs({env: seeds})}"
            yield f"  all: {compare_pairs(pairs)}"


def published_sentence(network: str) -> str:
    """The same of the authors' curves, one per environment: nothing to test."""
    found = []
    for curves in published(network).values():
        pruned, quantised = curves.values()
        found += [(quantised[s] - pruned[s]) / abs(pruned[s]) for s in pruned if s]
    higher = sum(value > 0 for value in found)
    return (
        f"the paper's curves, quantised minus pruned: higher at {higher} of {len(found)} "
        f"sparsities, median {median(found):+.1%}"
    )


def show(runs: Path, out: Path) -> None:
    """Everything about one sweep."""
    inputs = read_runs(str(runs))
    for item in inputs.skipped:
        print(f"skipped {item.name}: {item.reason}")
    for network, sweep in by_network(inputs.runs).items():
        steps = sorted({run.total_timesteps for run in sweep.runs})
        print(f"{network}: {len(sweep.runs)} runs, {', '.join(f'{n:,}' for n in steps)} steps")
        draw(sweep, network, out)
        said = list(sentence(sweep))
        if said and published(network):
            said.append(published_sentence(network))
        print("".join(f"{line}\n" for line in said), end="")


def main() -> None:
    """Read, draw, print."""
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else HERE
    out.mkdir(parents=True, exist_ok=True)
    if len(sys.argv) > 1:
        show(Path(sys.argv[1]), out)
        return
    for packed in sorted((HERE / "results").iterdir()):
        with unpacked(packed) as folder:
            show(folder, out)


if __name__ == "__main__":
    main()
