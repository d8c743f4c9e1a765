"""From a request to decisions: teacher, environment, method, lengths; plays and trains nothing."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from rlcompress.compress.lesson import ACTION, Manner
from rlcompress.compress.outcome import LADDER, Wish
from rlcompress.compress.recorded import Recorded
from rlcompress.compress.settings import Settings
from rlcompress.compress.source import check_pair, load_model, load_observations, load_statistics
from rlcompress.compress.student import check_sparsity
from rlcompress.compress.teacher import Teacher
from rlcompress.pruning.criteria import CRITERIA
from rlcompress.pruning.registry import lookup
from rlcompress.sb3 import quantise
from rlcompress.sb3.env_spec import EnvSpec, describe
from rlcompress.spec import Granularity, QuantSpec

METHODS = ("distill", "finetune", "oneshot")
AUTO = "auto"

VECTOR_LENGTHS, IMAGE_LENGTHS = (4_000, 16_000, 64_000), (3_000, 9_000, 27_000)
VECTOR_BATCH, IMAGE_BATCH = 512, 64
VECTOR_RATE, IMAGE_RATE = 1e-2, 3e-4
VECTORS_PER_STEP, IMAGES_PER_STEP = 4.0, 4.0
PARITY_VECTORS, PARITY_IMAGES = 10_000, 1_000
FEWEST_RECORDED = 1_024
"""Observations whose memory is always granted, however large they are."""

FEWEST_STEPS = 5
"""With fewer no step is left for pruning, or none for quantisation."""


@dataclass(frozen=True)
class Plan:
    """One compression, decided."""

    settings: Settings
    teacher: Teacher
    spec: EnvSpec | None
    observations: NDArray[Any] | None
    manner: Manner
    wish: Wish
    ptq: bool

    @property
    def quant(self) -> QuantSpec | None:
        """What is quantised at the end, if anything."""
        return self.manner.quant if self.wish.quantise or self.ptq else None

    @property
    def parity_observations(self) -> int:
        """Observations on which torch actor and artifact are compared."""
        asked = self.settings.parity_observations
        if asked is not None:
            return asked
        return PARITY_IMAGES if self.teacher.image else PARITY_VECTORS

    def recorded(self) -> Recorded:
        """An empty training set of the size that memory allows."""
        space, teacher = self.teacher.model.observation_space, self.teacher
        dtype = space.dtype if teacher.image else np.float32
        size = int(np.prod(teacher.shape)) * np.dtype(dtype).itemsize
        limit = max(self.settings.memory_mb * 2**20 // size, FEWEST_RECORDED)
        example = np.zeros((1, *teacher.shape), dtype)
        outputs = teacher.values(example).shape[1]
        return Recorded(teacher.shape, dtype, outputs, limit=limit)

    def final_variant(self, sparsity: float) -> str:
        """What a student is at the end of the run: quantised, ptq, pruned or dense."""
        if self.ptq:
            return "ptq"
        return "quantised" if self.wish.quantise else "pruned" if sparsity > 0 else "dense"

    def about(self) -> dict[str, str | int | float | bool]:
        """The decisions that a reader of results wants to sort by; JSON-able."""
        settings = self.settings
        return {
            "model": self.teacher.path.name,
            "algo": self.teacher.actor.algorithm.lower(),
            "env": settings.env or "",
            "method": settings.method,
            "sparsity": settings.sparsity,
            "quant": str(settings.quant).lower(),
            "criterion": self.manner.criterion,
            "allocation": self.manner.allocation,
            "tolerance": settings.tolerance,
            "seed": settings.seed,
        }


def make_plan(settings: Settings, say: Callable[[str], None]) -> Plan:
    """Decide everything, and read the model.

    Raises:
        ValueError: where the request cannot be met, naming the setting and what would do.
    """
    sparsity = _check(settings)
    spec = None if settings.env is None else describe(settings.env)
    assert settings.model is not None
    path = Path(settings.model)
    model = load_model(path, settings.device, say)
    statistics = None
    if settings.vecnormalize is not None:
        say(f"{settings.vecnormalize} is a pickle as well")
        statistics = load_statistics(Path(settings.vecnormalize), model)
    teacher = Teacher.of(path, model, statistics)
    if spec is not None:
        check_pair(model, spec)
    recorded = None
    if settings.observations is not None:
        recorded = load_observations(Path(settings.observations), model, statistics)
    manner = _manner(settings, image=teacher.image)
    for level in LADDER if sparsity is None else (sparsity,):
        check_sparsity(teacher, level, manner.allocation)
    quantised = settings.quant in (True, "true")
    wish = Wish(
        sparsity,
        settings.tolerance,
        _lengths(settings, teacher),
        quantised and settings.method != "oneshot",
        _rate(settings, teacher),
        settings.agreement if teacher.matching.discrete else 0.0,
    )
    ptq = settings.quant not in (False, "false") and not wish.quantise
    plan = Plan(settings, teacher, spec, recorded, manner, wish, ptq)
    if plan.quant is not None:
        quantise.check(model, plan.quant)
    _check_method(plan)
    return plan


def _check(settings: Settings) -> float | None:
    """Look at what needs no file; returns the sparsity, None for ``auto``."""
    if settings.model is None:
        raise ValueError("model is missing: model=<Stable-Baselines3 zip>")
    if settings.env is None and settings.observations is None:
        raise ValueError("env is missing: env=<Gymnasium id>, or observations=<file.npz>")
    _choose("method", settings.method, METHODS)
    if isinstance(settings.quant, str):
        _choose("quant", settings.quant, ("true", "false", "ptq"))
    if settings.criterion != AUTO and settings.criterion != ACTION:
        lookup({**CRITERIA, ACTION: None, AUTO: None}, settings.criterion, "criterion")
    _check_numbers(settings)
    return _sparsity(settings)


def _check_numbers(settings: Settings) -> None:
    for name in ("n_envs", "threads", "check_episodes", "final_episodes", "memory_mb"):
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(settings, name)}")
    for name in ("steps", "batch_size", "episode_steps", "parity_observations"):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if settings.steps is not None and settings.steps < FEWEST_STEPS:
        raise ValueError(f"steps must be at least {FEWEST_STEPS}, got {settings.steps}")
    if settings.method == "distill" and settings.env is not None and settings.n_envs < 2:
        raise ValueError(
            "n_envs must be at least 2 with method=distill, got 1: the teacher acts in one "
            "environment and the student in the others"
        )
    if settings.seed < 0 or not settings.noise >= 0:
        raise ValueError(
            f"seed and noise must not be negative, got {settings.seed}, {settings.noise}"
        )
    if not 0 < settings.tolerance < 1:
        raise ValueError(f"tolerance must be in (0, 1), got {settings.tolerance}")
    if not 0 <= settings.agreement <= 1:
        raise ValueError(f"agreement must be in [0, 1], got {settings.agreement}")


def _sparsity(settings: Settings) -> float | None:
    asked = settings.sparsity
    if isinstance(asked, str):
        if asked != AUTO:
            raise ValueError(f"sparsity must be a number in [0, 1) or auto, got {asked!r}")
        if settings.env is None:
            raise ValueError("sparsity=auto needs an environment to compare returns in: env=<id>")
        return None
    if not 0.0 <= asked < 1.0:
        raise ValueError(f"sparsity must be in [0, 1) or auto, got {asked}")
    return float(asked)


def _check_method(plan: Plan) -> None:
    settings = plan.settings
    if settings.method != "finetune":
        return
    _check_finetune(settings)
    if plan.spec is None:
        raise ValueError("method=finetune learns by reinforcement and needs env=<id>")
    if plan.wish.sparsity is None:
        raise ValueError("sparsity=auto works with method=distill and method=oneshot")
    if getattr(plan.teacher.model, "use_sde", False) and plan.wish.sparsity > 0:
        raise ValueError(
            "method=finetune cannot prune a gSDE policy, whose noise is made of the actor's "
            "features; method=distill can"
        )
    if plan.teacher.statistics is not None:
        raise ValueError("method=finetune does not continue VecNormalize; method=distill does")


def _check_finetune(settings: Settings) -> None:
    asked = settings.finetune
    if settings.criterion == ACTION:
        raise ValueError("criterion=action needs a teacher's actions; method=finetune has rewards")
    for name, low in (("total_timesteps", 1), ("buffer_size", 1), ("fill", 0)):
        if getattr(asked, name) < low:
            raise ValueError(f"finetune.{name} must be at least {low}, got {getattr(asked, name)}")
    if not 0 < asked.pruning_end <= 1:
        raise ValueError(f"finetune.pruning_end must be in (0, 1], got {asked.pruning_end}")
    if not 0 <= asked.quantise_at < 1:
        raise ValueError(f"finetune.quantise_at must be in [0, 1), got {asked.quantise_at}")


def _manner(settings: Settings, *, image: bool) -> Manner:
    asked = settings.quantisation
    quant = QuantSpec(
        asked.weight_bits,
        asked.activation_bits,
        dense=cast(Granularity, asked.dense),
        conv=cast(Granularity, asked.conv),
        skip=tuple(asked.skip),
    )
    simple = settings.method != "distill"
    criterion, allocation = settings.criterion, settings.allocation
    if criterion == AUTO:
        criterion = "magnitude" if simple else ACTION
    if allocation == AUTO:
        # Only what is measured in one unit everywhere can be compared between layers.
        allocation = "global" if criterion == ACTION else "erdos_renyi"
    return Manner(
        criterion,
        allocation,
        quant,
        batch_size=settings.batch_size or (IMAGE_BATCH if image else VECTOR_BATCH),
        per_step=IMAGES_PER_STEP if image else VECTORS_PER_STEP,
        seed=settings.seed,
    )


def _lengths(settings: Settings, teacher: Teacher) -> tuple[int, ...]:
    if settings.method == "oneshot":
        return (1,)
    if settings.method == "finetune":
        return (settings.finetune.total_timesteps,)
    if settings.steps is not None:
        return (settings.steps,)
    lengths = IMAGE_LENGTHS if teacher.image else VECTOR_LENGTHS
    # Without episodes nothing says when to stop.
    return lengths if settings.env is not None else lengths[1:2]


def _rate(settings: Settings, teacher: Teacher) -> float:
    if settings.learning_rate is not None:
        if not settings.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, got {settings.learning_rate}")
        return settings.learning_rate
    return IMAGE_RATE if teacher.image else VECTOR_RATE


def _choose(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        near = difflib.get_close_matches(value, choices, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}{hint}")


def set_threads(settings: Settings) -> None:
    """Torch's threads: networks this small are fastest with one."""
    torch.set_num_threads(settings.threads)
