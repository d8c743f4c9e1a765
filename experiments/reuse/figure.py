"""Draws the figures of this directory from its results, and prints its tables as Markdown.

``python experiments/reuse/figure.py``; needs no measuring.
"""

import csv
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr

from rlcompress.reuse.comparison import geometric_mean, losers, ratio_name, read_rows, tables
from rlcompress.reuse.games import View, record
from rlcompress.reuse.original import paper_network
from rlcompress.reuse.stack import ReuseStack

HERE = Path(__file__).parent
RESULTS = HERE / "results"
TITLES = {
    "net": "inference, recorded frames\nfastest dense / ours",
    "loop": "inference, published loop\ntorch / ours",
    "training": "training, published loop\ntorch / ours",
}


def save(figure, name):
    figure.savefig(HERE / name, dpi=110, bbox_inches="tight")
    plt.close(figure)


def label(downsample, filters):
    return f"D{downsample} {filters}/{2 * filters}"


def summary(found):
    """A line per table: geometric means, best and worst game, games that lose."""
    print(
        "| protocol | network | torch / original | torch / ours | dense / ours | best | worst |"
        " below 1 | published (geometric mean) |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for (protocol, downsample, filters), lines in found:
        chosen = ratio_name(protocol)
        cells = [protocol, label(downsample, filters)]
        for name in ("original_ratio", "eager_ratio", "dense_ratio"):
            values = [line[name] for line in lines if line.get(name)]
            cells.append(f"{geometric_mean(values):.2f}" if values else "")
        ordered = sorted(lines, key=lambda line: line[chosen])
        for line in (ordered[-1], ordered[0]):
            cells.append(f"{line['game']} {line[chosen]:.1f}")
        cells.append(str(len(losers(lines, chosen))))
        published = [line["published_ratio"] for line in lines if line["published_ratio"]]
        cells.append(f"{geometric_mean(published):.2f}")
        print("| " + " | ".join(cells) + " |")


def correlations(found):
    """What a ratio hangs on: rank correlations with the change of Figure 3."""
    rows = [json.loads(line) for line in (RESULTS / "pixel_change.jsonl").read_text().splitlines()]
    change = {row["game"]: row for row in rows}
    print("| network | ours: rectangle | ours: positions | original: rectangle | positions |")
    print("|---|---|---|---|---|")
    for (protocol, downsample, filters), lines in found:
        known = [line for line in lines if line["game"] in change]
        if protocol != "net" or len(known) < 3:
            continue
        cells = [label(downsample, filters)]
        for ratio in ("dense_ratio", "original_ratio"):
            for name in ("grey_rectangle", f"grey_d{downsample}_second"):
                shares = [change[line["game"]][name] for line in known]
                cells.append(f"{spearmanr([line[ratio] for line in known], shares)[0]:.2f}")
        print("| " + " | ".join(cells) + " |")


def best_and_worst(found):
    """Figure 2: the best and the worst game of each table, ours as bars, published as marks."""
    protocols = [name for name in TITLES if any(key[0] == name for key, _ in found)]
    figure, axes = plt.subplots(1, len(protocols), figsize=(5 * len(protocols), 4), squeeze=False)
    for axis, protocol in zip(axes[0], protocols, strict=True):
        chosen = ratio_name(protocol)
        groups = sorted(
            ((key, lines) for key, lines in found if key[0] == protocol),
            key=lambda one: (-one[0][1], one[0][2]),
        )
        for place, (_, lines) in enumerate(groups):
            for offset, pick, colour in ((-0.2, max, "tab:green"), (0.2, min, "tab:red")):
                line = pick(lines, key=lambda one: one[chosen])
                axis.bar(place + offset, line[chosen], 0.38, color=colour, alpha=0.8)
                axis.annotate(
                    f"{line['game']}\n{line[chosen]:.1f}",
                    (place + offset, line[chosen]),
                    ha="center",
                    va="bottom",
                    fontsize=6,
                    rotation=60,
                )
                published = [one["published_ratio"] for one in lines if one["published_ratio"]]
                axis.plot(place + offset, pick(published), "k_", markersize=12)
        axis.axhline(1, color="grey", linewidth=0.8)
        axis.set_yscale("log")
        axis.set_ylim(0.7, 4 * max(one[chosen] for _, lines in groups for one in lines))
        axis.set_xticks(range(len(groups)), [label(*key[1:]) for key, _ in groups], fontsize=7)
        axis.set_title(TITLES[protocol], fontsize=9)
    axes[0][0].set_ylabel("times faster (black: published, its own base)")
    save(figure, "best_and_worst.png")


def change():
    """Figure 3: the mean change per game, ours and published."""
    rows = [json.loads(line) for line in (RESULTS / "pixel_change.jsonl").read_text().splitlines()]
    rows.sort(key=lambda row: row["game"])
    with (HERE / "published_pixel_change.csv").open() as file:
        published = {row["game"]: row for row in csv.DictReader(file)}
    print(
        "| game | frames | colour values (published) | rectangle (published) | grey pixels |"
        " 4x4 tiles | 8x8 tiles | unchanged frames | second layer D4 | D2 |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        old = published[row["game"]]
        print(
            f"| {row['game']} | {row['frames']} | {row['rgb_elements']:.2f} "
            f"({float(old['pct_rgb_elements_changed']):.2f}) | {row['rgb_rectangle']:.1f} "
            f"({float(old['pct_bounding_rectangle']):.1f}) | {row['grey_pixels']:.2f} | "
            f"{row['grey_tiles_4']:.2f} | {row['grey_tiles_8']:.2f} | "
            f"{row['unchanged_frames']:.1f} | {row['grey_d4_second']:.1f} | "
            f"{row['grey_d2_second']:.1f} |"
        )
    figure, axis = plt.subplots(figsize=(11, 4))
    places = np.arange(len(rows))
    bars = (("rgb_rectangle", "rectangle", "tab:red"), ("grey_tiles_8", "8x8 tiles", "tab:orange"),
            ("grey_d2_second", "positions of a second 3x3 layer, D2", "tab:blue"),
            ("rgb_elements", "colour values", "tab:green"))  # fmt: skip
    for k, (name, text, colour) in enumerate(bars):
        axis.bar(
            places + 0.2 * (k - 1.5), [row[name] for row in rows], 0.2, label=text, color=colour
        )
    for name, k in (("pct_bounding_rectangle", 0), ("pct_rgb_elements_changed", 3)):
        axis.plot(
            places + 0.2 * (k - 1.5),
            [float(published[row["game"]][name]) for row in rows],
            "k_",
            markersize=7,
            label="published" if k == 0 else None,
        )
    axis.set_yscale("log")
    axis.set_ylabel("% of a frame, mean")
    axis.set_xticks(places, [row["game"] for row in rows], rotation=60, ha="right", fontsize=7)
    axis.set_ylim(0.03, 100)
    axis.legend(fontsize=7, ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1))
    save(figure, "change.png")


def engine():
    """What the int8 engine's own reuse gives for standard DQN networks on recorded play."""
    rows = [json.loads(line) for line in (RESULTS / "engine.jsonl").read_text().splitlines()]
    sparsities = sorted({row["sparsity"] for row in rows})
    print(
        "| game | " + " | ".join(f"sparsity {s:g}: without, with, ratio" for s in sparsities) + " |"
    )
    print("|---" * (1 + len(sparsities)) + "|")
    for game in dict.fromkeys(row["game"] for row in rows):
        cells = [game]
        for s in sparsities:
            found = [row for row in rows if (row["game"], row["sparsity"]) == (game, s)]
            cells += [f"{r['engine_us']:.1f}, {r['reuse_us']:.1f}, {r['ratio']:.2f}" for r in found]
        print("| " + " | ".join(cells) + " |")
    means = [geometric_mean(r["ratio"] for r in rows if r["sparsity"] == s) for s in sparsities]
    print("| geometric mean | " + " | ".join(f"{mean:.2f}" for mean in means) + " |")


def learning():
    """What REINFORCE learns, over steps and over time on the processor."""
    rows = [json.loads(line) for line in (RESULTS / "learn.jsonl").read_text().splitlines()]
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    for kind, seed in sorted({(row["kind"], row["seed"]) for row in rows}, reverse=True):
        mine = [row for row in rows if (row["kind"], row["seed"]) == (kind, seed)]
        smooth = np.convolve([row["caught"] for row in mine], np.ones(8) / 8, "valid")
        colour = "tab:blue" if kind == "runs" else "tab:red"
        text = {"runs": "gradients over runs", "autograd": "autograd"}[kind]
        for axis, name in zip(axes, ("step", "cpu_s"), strict=True):
            scale = 1e3 if name == "step" else 1
            axis.plot(
                [row[name] / scale for row in mine][7:],
                100 * smooth,
                color=colour,
                linewidth=1,
                label=text if seed == 0 else None,
            )
    axes[0].set(xlabel="steps, thousands", ylabel="balls caught, %")
    axes[1].set(xlabel="seconds of one processor")
    axes[1].legend(fontsize=8)
    save(figure, "learning.png")


def dirty_positions(games=("Breakout", "Pong", "Freeway"), at=400):
    """One frame of some games, and which positions of each layer it makes dirty."""
    view = View(2, grey=True)
    figure, axes = plt.subplots(len(games), 4, figsize=(8, 3.2 * len(games)))
    for row, game in zip(axes, games, strict=True):
        frames = record(game, view, count=at + 1, seed=0)
        stack = ReuseStack(paper_network(20, view.shape, 4, seed=0), (1, *view.shape))
        stack(frames[at - 1][None])
        stack(frames[at][None])
        row[0].imshow(frames[at], cmap="gray", vmin=0, vmax=255)
        row[0].set_title(game, fontsize=9)
        names = ("changed pixels", "first layer", "second layer")
        for axis, mask, name in zip(row[1:], stack.masks(), names, strict=False):
            axis.imshow(mask, cmap="magma", vmin=0, vmax=1)
            axis.set_title(f"{name}\n{mask.sum()} of {mask.size} ({mask.mean():.1%})", fontsize=9)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    save(figure, "dirty_positions.png")


def main():
    if (RESULTS / "bench.jsonl").is_file():
        found = tables(read_rows(RESULTS / "bench.jsonl"))
        summary(found)
        best_and_worst(found)
        if (RESULTS / "pixel_change.jsonl").is_file():
            correlations(found)
    if (RESULTS / "pixel_change.jsonl").is_file():
        change()
    if (RESULTS / "engine.jsonl").is_file():
        engine()
    if (RESULTS / "learn.jsonl").is_file():
        learning()
    dirty_positions()


if __name__ == "__main__":
    main()
