"""From settings to decisions: algorithm, network, lengths, specs; builds and runs nothing."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import torch
from gymnasium import spaces
from stable_baselines3.common.utils import get_device

from rlcompress.fast import matmul
from rlcompress.sb3.env_spec import EnvSpec, algorithm_for, network_for
from rlcompress.sb3.environments import BACKENDS
from rlcompress.sb3.networks import policy_for
from rlcompress.spec import Granularity, PolynomialSchedule, PruneSpec, QuantSpec
from rlcompress.training.phases import Timeline
from rlcompress.training.settings import A2cRecipe, PpoRecipe, Recipe, Settings, recipe_name

Algo = Literal["sac", "td3", "ddpg", "tqc", "dqn", "qrdqn", "ppo", "a2c"]

DISCRETE_ONLY = ("dqn", "qrdqn")
PARITY_VECTORS, PARITY_IMAGES = 10_000, 1_000
BOX_ONLY = ("sac", "td3", "ddpg", "tqc")


@dataclass(frozen=True)
class Plan:
    """One run, decided: nothing here is ``auto`` or None for lack of a decision.

    ``total_timesteps`` is T, of which every fraction is one; the run is ``timeline.length`` long.
    ``quant`` is set for quantisation during (``ptq`` False) and after (``ptq`` True) training.
    """

    settings: Settings
    env: EnvSpec
    algo: Algo
    network: str
    recipe: Recipe
    total_timesteps: int
    timeline: Timeline
    prune: PruneSpec | None
    quant: QuantSpec | None
    ptq: bool

    @property
    def qat(self) -> bool:
        """Whether the run ends with quantisation-aware training."""
        return self.quant is not None and not self.ptq

    @property
    def on_policy(self) -> bool:
        """Whether the algorithm learns from its last rollout alone."""
        return isinstance(self.recipe, A2cRecipe)

    @property
    def rollout(self) -> int:
        """Environment steps from one round of gradient steps to the next."""
        return rollout_steps(self.recipe, self.settings.n_envs)

    @property
    def parity_observations(self) -> int:
        """Observations on which torch actor and artifact are compared; images cost more."""
        asked = self.settings.parity_observations
        if asked is not None:
            return asked
        return PARITY_VECTORS if self.env.kind == "vector" else PARITY_IMAGES

    def about(self) -> dict[str, str | int | float | bool]:
        """The decisions that a reader of results wants to sort by; JSON-able."""
        return {
            "env": self.settings.env,
            "algo": self.algo,
            "network": self.network,
            "sparsity": self.settings.sparsity,
            "quant": str(self.settings.quant).lower(),
            "allocation": self.settings.allocation,
            "criterion": self.settings.criterion,
            "seed": self.settings.seed,
            "budget": self.settings.budget,
            "total_timesteps": self.total_timesteps,
            "length": self.timeline.length,
        }


def make_plan(settings: Settings, env: EnvSpec) -> Plan:
    """Decide everything that the settings and the environment decide.

    Raises:
        ValueError: where the request cannot be met, naming the setting and what would do.
    """
    _check_choices(settings)
    _check_backend(settings, env)
    image = env.kind == "image"
    algo = _algo(settings.algo, env.action_space)
    network = network_for(env.observation_space) if settings.network == "auto" else settings.network
    policy_for(network, env.observation_space)
    table = recipe_name(algo, image=image, resnet=network.startswith("impala"))
    recipe: Recipe = getattr(settings, table)
    total = (
        settings.total_timesteps if settings.total_timesteps is not None else recipe.total_timesteps
    )
    prune, quant = _prune_spec(settings, recipe), _quant_spec(settings)
    ptq = settings.quant == "ptq"
    extra = _extra(settings, total, qat=quant is not None and not ptq)
    _check_table(recipe, settings.n_envs)
    _check_lengths(recipe, total, extra, prune)
    window = _window(prune, total, extra, settings.n_envs)
    if quant is not None and not ptq:
        _check_extra(extra, recipe, settings.n_envs)
    timeline = Timeline(
        length=total + extra,
        pruning=window,
        quantise_after=total if quant is not None and not ptq else None,
        branch_after=total,
    )
    return Plan(settings, env, algo, network, recipe, total, timeline, prune, quant, ptq)


def _check_choices(settings: Settings) -> None:
    _choose("training", settings.training, ("fast", "sb3"))
    _choose("matmul", settings.matmul, ("auto", *matmul.paths("cpu"), *matmul.paths("cuda")))
    _choose("env_backend", settings.env_backend, BACKENDS)
    _choose("algo", settings.algo, ("auto", *get_args(Algo)))
    if isinstance(settings.quant, str):
        _choose("quant", settings.quant, ("true", "false", "ptq"))
    _check_products(settings.matmul, check_device(settings.device))
    for name in ("n_envs", "threads", "eval_freq", "eval_episodes", "final_episodes"):
        _at_least(name, getattr(settings, name), 1)
    for name in ("parity_observations", "checkpoint_freq", "eval_episode_steps"):
        value = getattr(settings, name)
        if value is not None:
            _at_least(name, value, 1)
    for name in ("draw_every", "seed"):
        _at_least(name, getattr(settings, name), 0)


def _check_backend(settings: Settings, env: EnvSpec) -> None:
    if settings.env_backend == "native" and not env.atari:
        raise ValueError(
            f"env_backend=native runs Atari games alone, not env={env.env_id} "
            "(env_backend=serial or processes)"
        )
    if settings.env_backend == "native" and settings.draw_every:
        raise ValueError("draw_every: env_backend=native gives no pictures (env_backend=serial)")


def check_device(name: str) -> str:
    """The kind of device that ``name`` stands for, cpu or cuda.

    Raises:
        ValueError: there is none of that name here.
    """
    try:
        kind = torch.device("cpu" if name == "auto" else name).type
    except RuntimeError:
        kind = "unknown"
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device must be cpu, cuda, cuda:<number> or auto, got {name!r}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={name}, but this torch sees no CUDA device (device=cpu)")
    return str(get_device(name).type)


def _check_products(products: str, device: str) -> None:
    known = ("auto", *matmul.paths(device))
    if products not in known:
        raise ValueError(
            f"matmul={products} is not for device={device}, which takes {', '.join(known)}"
        )


def _choose(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        near = difflib.get_close_matches(value, choices, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}{hint}")


def _at_least(name: str, value: int, smallest: int) -> None:
    if value < smallest:
        raise ValueError(f"{name} must be at least {smallest}, got {value}")


def _algo(asked: str, action: spaces.Space[Any]) -> Algo:
    if asked == "auto":
        return algorithm_for(action)
    discrete = isinstance(action, spaces.Discrete)
    if asked in DISCRETE_ONLY and not discrete:
        raise ValueError(
            f"algo={asked} needs a Discrete action space, this one is a Box (algo=sac)"
        )
    if asked in BOX_ONLY and discrete:
        raise ValueError(f"algo={asked} needs a Box action space, this one is Discrete (algo=dqn)")
    return cast(Algo, asked)


def _prune_spec(settings: Settings, recipe: Recipe) -> PruneSpec | None:
    asked = settings.pruning
    updates = recipe.pruning_updates if asked.updates is None else asked.updates
    schedule = PolynomialSchedule(asked.begin, asked.end, updates, asked.power, asked.initial)
    spec = PruneSpec(
        settings.sparsity,
        schedule,
        criterion=settings.criterion,
        allocation=settings.allocation,
        skip=tuple(asked.skip),
        prune_unused=asked.prune_unused,
    )
    return spec if spec.sparsity > 0 else None


def _quant_spec(settings: Settings) -> QuantSpec | None:
    asked = settings.quantisation
    spec = QuantSpec(
        asked.weight_bits,
        asked.activation_bits,
        dense=cast(Granularity, asked.dense),
        conv=cast(Granularity, asked.conv),
        skip=tuple(asked.skip),
    )
    return None if settings.quant in (False, "false") else spec


def _extra(settings: Settings, total: int, *, qat: bool) -> int:
    """Steps after T; a fraction that was asked for holds for every variant."""
    if settings.extra_timesteps is not None:
        return settings.extra_timesteps
    if settings.extra_fraction is not None:
        return round(settings.extra_fraction * total)
    return round(0.2 * total) if qat else 0


def _check_extra(extra: int, recipe: Recipe, n_envs: int) -> None:
    """Quantisation begins with a rollout; on-policy algorithms also need one to calibrate on."""
    rollout = rollout_steps(recipe, n_envs)
    smallest = rollout * (3 if isinstance(recipe, A2cRecipe) else 2)
    if extra < smallest:
        raise ValueError(
            f"extra_timesteps={extra} is too short for quantisation-aware training: with "
            f"rollouts of {rollout} steps it needs at least {smallest} (or ask for quant=ptq)"
        )


def rollout_steps(recipe: Recipe, n_envs: int) -> int:
    """Environment steps of a rollout, of all environments together."""
    steps: int = getattr(recipe, "n_steps" if isinstance(recipe, A2cRecipe) else "train_freq")
    return n_envs * steps


def _check_table(recipe: Recipe, n_envs: int) -> None:
    """Numbers that the algorithm itself would stumble over after training has begun."""
    names = ("pruning_updates", "batch_size", "buffer_size", "train_freq", "n_steps", "n_epochs")
    for name in (*names, "target_update_interval"):
        _at_least(name, getattr(recipe, name, 1), 1)
    for width in recipe.net_arch:
        _at_least("net_arch: a width", width, 1)
    if isinstance(recipe, PpoRecipe):
        _at_least("ppo.batch_size", recipe.batch_size, 2)
        _at_least("ppo.n_steps times n_envs", recipe.n_steps * n_envs, 2)


def _window(prune: PruneSpec | None, total: int, extra: int, n_envs: int) -> tuple[int, int] | None:
    """First and last step of pruning; with an initial sparsity no step is dense."""
    if prune is None:
        return None
    begin, end = prune.schedule.window(total)
    # What a phase ends with is kept before masks change in the same step.
    if extra > 0 and end > total // n_envs * n_envs - n_envs:
        raise ValueError(
            f"pruning.end={prune.schedule.end:g} changes masks in the last step before T={total}, "
            "after which the run goes on with the pruned policy: let pruning end earlier"
        )
    return (begin if prune.schedule.initial == 0 else 0), end


def _check_lengths(recipe: Recipe, total: int, extra: int, prune: PruneSpec | None) -> None:
    _at_least("total_timesteps", total, 1)
    _at_least("extra_timesteps", extra, 0)
    if prune is not None:
        prune.schedule.check_length(total)
    starts = getattr(recipe, "learning_starts", 0)
    if starts >= total:
        raise ValueError(
            f"total_timesteps={total} is too short: learning starts after {starts} steps "
            "(learning_starts of the algorithm's table)"
        )
