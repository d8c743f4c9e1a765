"""Entry point ``python -m rlcompress.binary.bench``: speed, size and learning beside the original.

Everything runs in this process, in one thread.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from rlcompress import cli

CART_POLE = ([-2.4, -3.0, -0.2095, -3.0], [2.4, 3.0, 0.2095, 3.0])
WIDTHS = (64, 64, 1)
SMALL = ((8, 16), (8, 8), (4, 8), (4, 4), (4, 2), (2, 4), (4, 0))
"""Edges of each number and hidden neurons (0: no hidden layer) of smaller networks."""


@dataclass
class Settings:
    """Names as on the command line."""

    seeds: int
    original_seeds: int
    original_generations: int
    seconds: float
    small: bool
    out: str | None


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at the request; returns the benchmark."""
    if settings.seeds < 1 or settings.original_seeds < 1 or not settings.seconds > 0:
        raise ValueError("seeds, original_seeds and seconds must be positive")
    from rlcompress.binary.evaluator import available_isas

    if not available_isas():
        raise ValueError("this benchmark needs native code: install with a C++ compiler")
    return lambda: run(settings)


def run(settings: Settings) -> None:
    """Measure everything, print the table, write the rows."""
    from rlcompress.bench.rows import report

    rows = [*evaluations(settings.seconds), *sizes(), *learning(settings), steps(settings.seconds)]
    if settings.small:
        rows += small(settings.seeds)
    columns = {"what": "", "original": "original rule", "ours": "ours", "goal": "goal"}
    report("Binary networks, one core", rows, out=settings.out, columns=columns)


def row(what: str, original: str, ours: Any, goal: str, **more: Any) -> dict[str, Any]:
    """A line of the table; ``more`` goes to the file only."""
    return {"what": what, "original": original, "ours": ours, "goal": goal, **more}


def evaluations(seconds: float) -> list[dict[str, Any]]:
    """Millions of evaluations a second in a native loop, and one call from Python."""
    import numpy as np

    from rlcompress.binary.evaluator import Population, available_isas
    from rlcompress.binary.network import count_weights, from_flat

    rng = np.random.default_rng(0)
    network = from_flat(WIDTHS, rng.integers(0, 2, count_weights(WIDTHS)))
    samples = rng.integers(0, 2**64, (32768, 1), dtype=np.uint64)
    goals = {"avx512": "300", "avx2": "100"}
    found = []
    for isa in available_isas():
        population = Population.of([network], isa=isa)
        best = fastest(lambda p=population: p.forward(samples), seconds)  # type: ignore[misc]
        rate = len(samples) / best / 1e6
        what = f"64-64-1, million evaluations/s, {isa}"
        found.append(row(what, "0.5 (claimed)", round(rate, 1), goals.get(isa, ""), isa=isa))
    native = Population.of([network]).native
    sample = samples[0].copy()

    def calls() -> None:
        for _ in range(1000):
            native(sample)

    call_us = fastest(calls, seconds) * 1e3
    found.append(row("64-64-1, one call from Python, us", "0.4 to 0.6", round(call_us, 3), "0.3"))
    return found


def fastest(work: Callable[[], object], seconds: float) -> float:
    """Seconds of the fastest of as many runs as fit."""
    best, end = float("inf"), time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        work()
        now = time.perf_counter()
        best = min(best, now - start)
        if now > end:
            return best


def sizes() -> list[dict[str, Any]]:
    """Bytes of the 64-64-1 policy."""
    import numpy as np

    from rlcompress.binary.network import count_weights, from_flat

    size = from_flat(WIDTHS, np.zeros(count_weights(WIDTHS))).size_bytes
    return [
        row("64-64-1, bytes without thresholds", "", size["weights"], "525"),
        row("64-64-1, bytes with thresholds", "585", size["with_thresholds"], "590"),
    ]


def search(seed: int, edges: int = 16, hidden: tuple[int, ...] = (64,)) -> Any:
    """A search in CartPole with the settings of conf/binary.yaml."""
    from rlcompress.binary.decoders import Decoder
    from rlcompress.binary.encoders import make_encoder
    from rlcompress.binary.evolution import Evolution, EvolutionSpec
    from rlcompress.binary.nes import NesSpec
    from rlcompress.binary.rollouts import NativeEpisodes

    encoder = make_encoder("thermometer", *CART_POLE, edges=edges)
    episodes = NativeEpisodes("CartPole-v1", encoder, Decoder("count", 1))
    spec = EvolutionSpec(stop_return=475.0)
    widths = (encoder.bits, *hidden, 1)
    return Evolution(widths, NesSpec(learning_rate=4.0), spec, episodes, seed=seed)


def solve(evolution: Any, most: int) -> tuple[int | None, float, float]:
    """Generations until MAP's mean of 100 fresh episodes is 475 (None: never).

    Then seconds by the clock, and seconds of the processor: the machine may have other work.
    """
    start, used = time.perf_counter(), time.process_time()
    for _ in range(most):
        generation = evolution.step()
        if generation.stop is not None:
            break
    else:
        return None, time.perf_counter() - start, time.process_time() - used
    return generation.number, time.perf_counter() - start, time.process_time() - used


def learning(settings: Settings) -> list[dict[str, Any]]:
    """How many seeds solve CartPole, in how many generations, in what time."""
    from rlcompress.binary import original

    ours = [solve(search(seed), 200) for seed in range(settings.seeds)]
    theirs = [
        solve(original.evolution(seed), settings.original_generations)
        for seed in range(settings.original_seeds)
    ]
    counts = [[g for g, _, _ in runs if g is not None] for runs in (ours, theirs)]
    solved = [f"{len(c)} of {len(runs)}" for c, runs in zip(counts, (ours, theirs), strict=True)]
    seconds, used = ([float(run[k] or 0) for run in ours] for k in (1, 2))
    middle = f"{median(counts[0]):g} (to {max(counts[0])})" if counts[0] else "none"
    theirs_middle = f"{median(counts[1]):g}" if counts[1] else "none"
    return [
        row("CartPole-v1 solved, seeds", solved[1], solved[0], "20 of 20", generations=counts[0]),
        row("  generations, median", theirs_middle, middle, "30", original_generations=counts[1]),
        row("  seconds, median and most", "", f"{median(seconds):.2f}, {max(seconds):.2f}", "3"),
        row("  of the processor", "", f"{median(used):.2f}, {max(used):.2f}", "3"),
    ]


def steps(seconds: float) -> dict[str, Any]:
    """Million environment steps a second, sampling and updating included, MAP not played.

    The best of blocks of ten generations.
    """
    import numpy as np

    evolution = search(0)
    for _ in range(40):  # Until episodes are long.
        evolution.step()
    rates, end = [0.0], time.perf_counter() + max(seconds, 1.0)
    while time.perf_counter() < end:
        start, before = time.perf_counter(), evolution.steps
        for _ in range(10):
            evolution.move()
        rates.append((evolution.steps - before) / (time.perf_counter() - start) / 1e6)
    rate = max(rates)
    loop = python_steps(seconds, np.random.default_rng(0))
    what = "CartPole, million environment steps/s in training"
    return row(what, f"{loop:.3f}", round(rate, 2), "10")


def python_steps(seconds: float, rng: Any) -> float:
    """The same by a loop in Python over Gymnasium's environment."""
    import gymnasium as gym

    from rlcompress.binary.evaluator import Population, encode
    from rlcompress.binary.network import count_weights, from_flat
    from rlcompress.binary.original import encoder

    bins = encoder()
    widths = (bins.bits, 64, 1)
    network = Population.of([from_flat(widths, rng.integers(0, 2, count_weights(widths)))])
    env = gym.make("CartPole-v1")
    observation, _ = env.reset(seed=0)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        z = network(encode(bins, observation[None])[0])
        observation, _, ended, cut, _ = env.step(int(z[0] > 0))
        count += 1
        if ended or cut:
            observation, _ = env.reset()
    return count / (time.perf_counter() - start) / 1e6


def small(seeds: int) -> list[dict[str, Any]]:
    """Smaller networks, with how many seeds solve CartPole in 200 generations."""
    found = []
    for edges, hidden in SMALL:
        evolutions = [search(seed, edges, (hidden,) if hidden else ()) for seed in range(seeds)]
        solved = [g for g, _, _ in (solve(e, 200) for e in evolutions) if g is not None]
        size = evolutions[0].map_network.size_bytes["weights"]
        shape = "-".join(map(str, evolutions[0].widths))
        ours = f"{len(solved)} of {seeds}"
        if solved:
            ours += f", {median(solved):g} generations"
        found.append(row(f"{shape}, {size} bytes: solved", "", ours, "", bytes=size))
    return found


def main() -> int:
    """Run the entry point; returns the exit code."""
    return cli.run(cli.EntryPoint("bench_binary", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
