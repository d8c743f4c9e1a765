"""Figures of one policy: sparsity per layer, masks as pictures, quantisation error, latency.

Each function draws onto axes that it is given, inside ``style.drawing()``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rlcompress.evaluation.plots import plain_numbers, short_number
from rlcompress.evaluation.style import colour, legend_above, shade, tidy

PICTURE_SIDE = 256
"""Most pixels along a side of a mask's picture; larger masks are averaged over blocks."""

_HISTOGRAM_STEPS = 50
"""Bins per decade of the probe's histograms."""


def layer_sparsity(
    axes: Any,
    layers: Sequence[str],
    rows: Sequence[tuple[str, int, int, Sequence[float]]],
    *,
    title: str = "",
) -> None:
    """Sparsity of each layer as a dot, one line per (label, rank, levels, sparsities)."""
    tidy(axes, grid="x")
    height = np.arange(len(layers))
    for label, rank, levels, sparsities in rows:
        shown = shade("pruned", rank, levels)
        axes.plot(sparsities, height, "o-", color=shown, linewidth=1.2, markersize=7, label=label)
    axes.set_yticks(height, [short_layer(name) for name in layers])
    axes.set(ylim=(len(layers) - 0.5, -0.5), xlim=(-0.03, 1.03), xlabel="sparsity of the layer")
    legend_above(axes, title, columns=6)


def mask_picture(axes: Any, weight: npt.NDArray[Any], *, kind: str) -> None:
    """Kept weights in the kind's colour: a row per output, a column per input.

    Of a mask larger than the picture, each pixel's strength is the share kept in its block, the
    fullest block at full strength.
    """
    from matplotlib.colors import to_rgb

    kept = (np.asarray(weight) != 0).reshape(len(weight), -1)
    strength = block_means(kept.astype(np.float64), PICTURE_SIDE)
    strength = strength / max(float(strength.max()), 1e-12)
    picture = np.empty((*strength.shape, 4))
    picture[..., :3] = to_rgb(colour(kind))
    picture[..., 3] = np.sqrt(strength)
    axes.imshow(picture, interpolation="nearest", aspect="auto")
    axes.set(xticks=[], yticks=[])
    axes.set_facecolor(colour("band"))
    for spine in axes.spines.values():
        spine.set_visible(False)


def block_means(values: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    """A matrix of at most ``side`` by ``side``: means over blocks of rows and columns."""
    for axis in (0, 1):
        size = values.shape[axis]
        if size > side:
            starts = np.linspace(0, size, side, endpoint=False).astype(int)
            counts = np.diff([*starts, size])
            sums = np.add.reduceat(values, starts, axis=axis)
            values = sums / (counts[:, None] if axis == 0 else counts[None, :])
    return values


def quantisation_error(axes: Any, errors: Mapping[str, float]) -> None:
    """Relative error of each tensor that is rounded: weights filled, activations hollow."""
    tidy(axes, grid="x")
    names = list(errors)
    for row, name in enumerate(names):
        filled = name.endswith(".weight")
        axes.plot([0, errors[name]], [row, row], color=colour("quantised-2"), linewidth=1.6)
        axes.plot(
            errors[name],
            row,
            "o",
            markersize=8,
            markeredgecolor=colour("quantised"),
            markerfacecolor=colour("quantised" if filled else "surface"),
        )
    axes.set_yticks(range(len(names)), [short_layer(name) for name in names])
    axes.set(ylim=(len(names) - 0.5, -0.5), xlabel="error, part of the tensor's norm")
    axes.set_xlim(left=0)
    axes.margins(x=0.08)
    axes.locator_params(axis="x", nbins=5)


def before_and_after(
    axes: Any,
    rows: Sequence[tuple[str, str, Sequence[tuple[float, ...]]]],
    stages: Sequence[str],
    *,
    title: str = "",
) -> None:
    """Return of the same runs at several stages: (label, colour, one tuple per run).

    Runs are thin lines, their mean a strong one.
    """
    tidy(axes)
    plain_numbers(axes)
    places = range(len(stages))
    for label, shown, runs in rows:
        for run in runs:
            axes.plot(places, run, "-", color=shown, linewidth=0.9, alpha=0.4)
        axes.plot(places, np.mean(runs, axis=0), "o-", color=shown, markersize=5.5, label=label)
    axes.set_xticks(range(len(stages)), stages)
    axes.set_xlim(-0.25, len(stages) - 0.75)
    axes.set_ylabel("return")
    legend_above(axes, title, columns=6)


def latency(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line per timed backend of a probe: the histogram of its calls, median and p99 marked.

    ``rows`` are of one level and batch; ours are orange, peers grey.
    """
    tidy(axes, grid="x")
    for position, row in enumerate(rows):
        shown = colour("quantised" if row.get("ours") else "dense")
        centres, counts = histogram_of(row)
        height = 0.75 * counts / counts.max() if counts.size else counts
        axes.fill_between(
            centres, position, position - height, step="mid", color=shown, alpha=0.35, linewidth=0
        )
        axes.plot([row["p50_us"]], [position], "o", color=shown, markersize=6)
        if row.get("p99_us") is not None:
            axes.plot([row["p50_us"], row["p99_us"]], [position] * 2, color=shown, linewidth=1.4)
        farthest = max([row["p50_us"], row.get("p99_us") or 0.0, *centres[counts > 0][-1:]])
        axes.annotate(
            f"{row['p50_us']:.3g} µs",
            (farthest, position),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=11,
            color=colour("muted"),
        )
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [str(row["backend"]).replace("_", " ") for row in rows])
    axes.set_ylim(len(rows) - 0.5, -1)
    axes.set_xlabel("microseconds per call")
    axes.xaxis.set_major_formatter(lambda x, _: short_number(x))
    axes.minorticks_off()


def histogram_of(row: Mapping[str, Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any]]:
    """Centres in microseconds and counts of a probe row's histogram (50 bins per decade)."""
    found = row.get("histogram") or {"first": 0, "counts": []}
    counts = np.asarray(found["counts"], dtype=np.float64)
    bins = found["first"] + np.arange(len(counts)) + 0.5
    return 10 ** (bins / _HISTOGRAM_STEPS), counts


def short_layer(name: str) -> str:
    """A layer's name without what all layers of an actor share."""
    for prefix in ("mlp_extractor.policy_net.", "latent_pi.", "features_extractor.", "q_net."):
        if name.startswith(prefix):
            return {"mlp_extractor.policy_net.": "hidden ", "latent_pi.": "hidden "}.get(
                prefix, ""
            ) + name.removeprefix(prefix)
    return name
