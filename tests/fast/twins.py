"""Two equal models, one of them fast, ready to be trained on equal batches and noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import set_random_seed

from rlcompress.fast.accelerate import accelerate_
from rlcompress.fast.engine import FastOptions
from rlcompress.sb3.pruning_callback import PruningCallback
from rlcompress.sb3.qat_callback import QATCallback
from rlcompress.spec import PolynomialSchedule, PruneSpec, QuantSpec
from tests.sb3.models import make_model

FILLED = 200
KINDS = ("dense", "pruned", "quantised", "both")
VALUE_BASED = ("DQN",)


def prepared(name: str, kind: str, **changes: Any) -> tuple[Any, list[BaseCallback]]:
    """A model with a filled buffer that was compressed as ``kind`` says and not trained yet."""
    arguments = {"learning_starts": FILLED + 1, "batch_size": 64, **changes}
    arguments["policy_kwargs"] = {
        "net_arch": [64, 64],
        "optimizer_kwargs": {"weight_decay": 1e-4 if name == "SAC" else 0.0},
        **changes.pop("policy_kwargs", {}),
    }
    model = make_model(name, **arguments)
    callbacks: list[BaseCallback] = []
    if kind in ("pruned", "both"):
        schedule = PolynomialSchedule(begin=0.1, end=0.5, updates=3)
        callbacks.append(PruningCallback(PruneSpec(0.9, schedule), FILLED))
    if kind in ("quantised", "both"):
        callbacks.append(QATCallback(QuantSpec(), begin=FILLED // 2))
    model.learn(FILLED, callback=callbacks)
    return model, callbacks


def twins(name: str, kind: str, *, compiled: bool = False, **changes: Any) -> tuple[Any, Any]:
    """A plain and a fast model in the same state."""
    plain, fast = (prepared(name, kind, **changes)[0] for _ in range(2))
    line = accelerate_(fast, FastOptions(compiled=compiled))
    assert line.startswith("training=fast"), line
    return plain, fast


def train(model: Any, updates: int, gradient_steps: int = 1) -> None:
    """So many calls of ``train`` on batches and noise that are the same for every model."""
    set_random_seed(5)
    model.policy.set_training_mode(True)
    for _ in range(updates):
        model.train(gradient_steps, model.batch_size)
        if isinstance(model.action_space, spaces.Discrete):
            model._on_step()


def everything(model: Any) -> dict[str, torch.Tensor]:
    """Parameters, targets and optimizer states by name."""
    found = {}
    for name, value in model.get_parameters().items():
        if "optimizer" in name:
            for index, state in value["state"].items():
                found |= {f"{name}.{index}.{key}": entry for key, entry in state.items()}
        else:
            found |= {f"{name}.{key}": entry for key, entry in value.items()}
    if getattr(model, "log_ent_coef", None) is not None:
        found["log_ent_coef"] = model.log_ent_coef
    return {name: torch.as_tensor(value).detach().clone() for name, value in found.items()}


def furthest(one: Any, other: Any) -> float:
    """Largest difference between two models' parameters, targets and entropy coefficients."""
    first, second = everything(one), everything(other)
    assert first.keys() == second.keys()
    return max(
        float(np.abs(value - second[name]).max())
        for name, value in first.items()
        if "optimizer" not in name
    )
