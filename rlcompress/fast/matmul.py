"""Which of torch's routines multiplies matrices: measured once per machine, checked, remembered.

On some processors torch's default (MKL) leaves half the speed unused that oneDNN reaches. Only
paths with the error of float32 are chosen; the choice is kept per processor and torch version, so
that one machine always computes alike.
"""

from __future__ import annotations

import contextlib
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rlcompress.artifact.file import write_bytes

Product = tuple[int, int, int]
"""Rows, inner length and columns of a product of matrices."""

DEFAULT = "default"
SECONDS = 0.1
ERROR_LIMIT = 1e-6
"""Largest error, relative to the product of absolute values, of what counts as float32."""

ROUNDING = ("bf16", "tf32")
"""Paths that round what they multiply: only by hand, however small their error looks."""

_ADVANTAGE = 1.05  # A path that is no faster than this is not worth other bits than SB3's.
_LEAST_ROUNDS = 3
_WIDEST = 1024  # Products larger than this say nothing new and would eat up the time.


@dataclass(frozen=True)
class Choice:
    """The chosen path with what was measured: microseconds and errors by path."""

    path: str
    microseconds: dict[str, float]
    errors: dict[str, float]

    def __str__(self) -> str:
        found = ", ".join(
            f"{name} {time_us:.0f} us (error {self.errors[name]:.0e})"
            for name, time_us in self.microseconds.items()
        )
        return f"matrix products: {self.path} ({found})"


def paths(device: str = "cpu") -> dict[str, Callable[[], None]]:
    """What may be asked for by hand, each with what switches it on.

    ``bf16`` (CPU) and ``tf32`` (CUDA) round their inputs and are never chosen by measuring; nor is
    ``onednn`` where the processor has AMX, on which it rounds as well.
    """
    if device != "cpu":
        return {DEFAULT: lambda: _precision("highest"), "tf32": lambda: _precision("high")}
    return {
        DEFAULT: lambda: _precision("highest"),
        "onednn": lambda: _precision("medium"),
        # Acting, evaluating and comparing stay exact: only the compiled update rounds.
        "bf16": lambda: _precision("highest"),
    }


def apply_(path: str, device: str = "cpu") -> None:
    """Switch to a path, for this process.

    Raises:
        ValueError: no such path.
    """
    known = paths(device)
    if path not in known:
        raise ValueError(f"matmul must be auto or one of {', '.join(known)}, got {path!r}")
    known[path]()


def choose(
    products: Sequence[Product], *, cache: Path | None = None, seconds: float = SECONDS
) -> Choice:
    """The fastest path of float32 accuracy for such products on this CPU; leaves it switched on."""
    key = f"{_processor()} | torch {torch.__version__} | {torch.get_num_threads()} | {products}"
    known = _read(cache)
    choice = _choice(known.get(key))
    if choice is None:
        choice = _measure(products, seconds)
        if cache is not None:
            content = json.dumps({**known, key: asdict(choice)}, indent=1)
            # Nothing but a measurement is lost where it cannot be written.
            with contextlib.suppress(OSError):
                cache.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(cache, content.encode())
    apply_(choice.path)
    return choice


def cache_file() -> Path | None:
    """Where choices are remembered between runs; None where there is no home."""
    try:
        return Path.home() / ".cache" / "rlcompress" / "matmul.json"
    except RuntimeError:
        return None


def products_of(module: nn.Module, batch: int) -> list[Product]:
    """The different products of a network's dense layers, largest first."""
    found = {
        (batch, min(layer.in_features, _WIDEST), min(layer.out_features, _WIDEST))
        for layer in module.modules()
        if isinstance(layer, nn.Linear)
    }
    return sorted(found, key=lambda product: -product[0] * product[1] * product[2])


def _measure(products: Sequence[Product], seconds: float) -> Choice:
    candidates = [name for name in paths() if name not in ROUNDING]
    errors = {name: _error(name, products) for name in candidates}
    able = [name for name in candidates if name == DEFAULT or errors[name] <= ERROR_LIMIT]
    best = dict.fromkeys(able, float("inf"))
    work = [_operands(product) for product in products]
    end = time.perf_counter() + seconds
    rounds = 0
    # In turns, so that a machine that is disturbed is disturbed for all, and never only once.
    while time.perf_counter() < end or rounds < _LEAST_ROUNDS:
        rounds += 1
        for name in able:
            apply_(name)
            best[name] = min(best[name], _time(work))
    fastest = min(able, key=best.__getitem__)
    chosen = fastest if best[DEFAULT] > _ADVANTAGE * best[fastest] else DEFAULT
    return Choice(chosen, {name: 1e6 * best[name] for name in able}, errors)


def _time(work: Sequence[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]) -> float:
    """Seconds for the products of a layer's forward and backward pass, of all layers."""
    began = time.perf_counter()
    for x, weight, gradient in work:
        torch.mm(x, weight.t())
        torch.mm(gradient, weight)
        torch.mm(gradient.t(), x)
    return time.perf_counter() - began


def _error(name: str, products: Sequence[Product]) -> float:
    apply_(name)
    worst = 0.0
    for product in products:
        x, weight, _ = _operands(product)
        exact = x.double() @ weight.double().t()
        size = x.double().abs() @ weight.double().abs().t()
        worst = max(worst, float(((torch.mm(x, weight.t()) - exact).abs() / size).max()))
    return worst


def _operands(product: Product) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rows, inner, columns = product
    # A generator of its own: measuring must not change what training draws.
    generator = torch.Generator().manual_seed(0)
    shapes = ((rows, inner), (columns, inner), (rows, columns))
    x, weight, gradient = (torch.randn(shape, generator=generator) for shape in shapes)
    return x, weight, gradient


def _precision(name: str) -> None:
    torch.set_float32_matmul_precision(name)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    wanted = ("vendor_id", "cpu family", "model", "model name", "flags")
    first = {
        line.split(":")[0].strip(): line.split(":", 1)[1].strip()
        for line in lines[:30]
        if ":" in line
    }
    return " ".join(first.get(name, "")[:200] for name in wanted[:4])


def _read(cache: Path | None) -> Mapping[str, Any]:
    try:
        found = {} if cache is None else json.loads(cache.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _choice(known: Any) -> Choice | None:
    """A remembered choice, None where it is none, or one of another version."""
    if not isinstance(known, dict) or known.keys() != {one.name for one in fields(Choice)}:
        return None
    return Choice(**known) if known["path"] in paths() else None
