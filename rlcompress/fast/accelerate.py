"""Makes an SB3 model train fast: overrides its ``train`` and how it acts; all else stays SB3's."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import DQN, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import nn

from rlcompress.fast.acting import sample_action
from rlcompress.fast.dqn import DqnUpdate
from rlcompress.fast.engine import Engine, FastOptions
from rlcompress.fast.networks import Unsupported
from rlcompress.fast.sac import SacUpdate
from rlcompress.fast.td3 import Td3Update
from rlcompress.fast.update import Update
from rlcompress.quantization.state import layers_of

_UPDATES: dict[type[OffPolicyAlgorithm], type[Update]] = {
    SAC: SacUpdate,
    TD3: Td3Update,
    DQN: DqnUpdate,
}
_MARK = "_fast"
_NUMBERS = ("gamma", "tau", "max_grad_norm", "target_entropy", "target_noise_clip")
"""Of a model, which an update takes for constant."""
_HOST = "stable_baselines3."


def accelerate_(model: BaseAlgorithm, options: FastOptions | None = None) -> str:
    """Let ``model`` train by pure, compiled updates from now on; returns one line about it.

    A model that cannot be trained so is left alone, and the line says why. The model stays of its
    class (of a subclass that is made here), with its buffers, optimizers, logs and zips.
    """
    options = options or FastOptions()
    kind = model.__dict__[_MARK].kind if is_fast(model) else type(model)
    try:
        make_update(model, options)
    except Unsupported as reason:
        return f"training=sb3: {kind.__name__} cannot be trained fast here, {reason}"
    model.__dict__[_MARK] = Trainer(model, kind, options)
    model.__class__ = type(f"Fast{kind.__name__}", (kind,), dict(_METHODS))
    how = (
        "compiled as a whole"
        if options.compiled
        else "not compiled, which a short run is not worth"
    )
    return f"training=fast: updates are pure functions, {how}"


def is_fast(model: BaseAlgorithm) -> bool:
    """Whether ``accelerate_`` took the model."""
    return _MARK in model.__dict__


def make_update(model: Any, options: FastOptions) -> Update:
    """The update of a model as it is now.

    Raises:
        Unsupported: the model has something that no update knows.
    """
    for algorithm, update in _UPDATES.items():
        if not isinstance(model, algorithm):
            continue
        for base in type(model).__mro__:
            ours = base.__module__.startswith((_HOST, "rlcompress."))
            if "train" in vars(base) and not ours:
                raise Unsupported(f"{base.__name__} has a train() of its own")
        try:
            return update(model, keep_gradients=options.keep_gradients)
        except ValueError as error:
            raise Unsupported(str(error)) from None
    known = ", ".join(algorithm.__name__ for algorithm in _UPDATES)
    raise Unsupported(f"only {known} and DDPG are known")


class Trainer:
    """What a fast model has beside an SB3 model: its update, and which modules that is of."""

    def __init__(self, model: Any, kind: type[Any], options: FastOptions) -> None:
        self.model = model
        self.kind = kind
        self.options = options
        self._engine: Engine | None = None
        self._signature: object = None
        self._modules: list[nn.Module] = []
        self._parameters: list[nn.Parameter] = []

    def train(self, gradient_steps: int, batch_size: int) -> None:
        """Do so many updates; SB3 does those that also move the ranges of activations."""
        engine = self._current()
        if engine is None:
            self.kind.train(self.model, gradient_steps, batch_size)
            return
        model, update = self.model, engine.update
        model._update_learning_rate([block.optimizer for block in update.blocks.values()])
        losses: dict[str, list[float]] = defaultdict(list)
        for _ in range(gradient_steps):
            if update.observes(update.variant()) and any(q.due for q in update.observers):
                self.kind.train(model, 1, batch_size)
                continue
            samples = model.replay_buffer.sample(batch_size, env=model._vec_normalize_env)
            if update.observes(update.variant()):
                for quantizer in update.observers:
                    quantizer.count_()
            found = engine.run(samples)
            model._n_updates += 1
            for name, value in found.items():
                losses[name].append(float(value))
        self._forget_rounding()
        if losses:
            model.logger.record("train/n_updates", model._n_updates, exclude="tensorboard")
        for name in update.losses:
            if losses[name]:
                model.logger.record(f"train/{name}", np.mean(losses[name]))

    def _current(self) -> Engine | None:
        """The engine of the modules as they are now; None where SB3 has to train them."""
        signature = self._look()
        if signature != self._signature:
            self._signature = signature
            announce = self.options.announce or print
            try:
                self._engine = Engine(make_update(self.model, self.options), self.options)
            except Unsupported as reason:
                self._engine = None
                announce(f"training=sb3 from here on: {reason}")
        return self._engine

    def _look(self) -> object:
        """What an update was made for: it is made anew when this changes."""
        policy = self.model.policy
        optimizers = [vars(m).get("optimizer") for m in (policy, *policy.children())]
        constants = [
            (id(o), g["betas"], g["eps"], g["weight_decay"], len(o._optimizer_step_post_hooks))
            for o in optimizers
            if isinstance(o, torch.optim.Optimizer)
            for g in o.param_groups
        ]
        if self._modules[:1] != [policy]:
            self._modules, self._parameters = list(policy.modules()), list(policy.parameters())
        frozen = [parameter.requires_grad for parameter in self._parameters]
        numbers = [getattr(self.model, name, None) for name in _NUMBERS]
        fixed = id(getattr(self.model, "ent_coef_tensor", None))
        return [type(module) for module in self._modules], constants, frozen, numbers, fixed

    def _forget_rounding(self) -> None:
        """Weights changed where no version counter need have moved: rounded copies are stale."""
        engine = self._engine
        if engine is None or not engine.update.quantizers:
            return
        actor = engine.update.actor
        for root in (actor.root, actor.twin):
            for layer, _ in layers_of(root).values() if root is not None else ():
                layer.__dict__.pop("_remembered", None)


def _train(self: Any, gradient_steps: int, batch_size: int = 64) -> None:
    """SB3's ``train``, by pure functions."""
    self.__dict__[_MARK].train(gradient_steps, batch_size)


def _sample(
    self: Any, learning_starts: int, action_noise: Any = None, n_envs: int = 1
) -> tuple[NDArray[Any], NDArray[Any]]:
    """SB3's ``_sample_action``, without its detours."""
    return sample_action(self, learning_starts, action_noise, n_envs)


def _excluded(self: Any) -> list[str]:
    """SB3's list of what is not pickled, and what accelerates."""
    return [*self.__dict__[_MARK].kind._excluded_save_params(self), _MARK]


_METHODS = {
    "train": _train,
    "_sample_action": _sample,
    "_excluded_save_params": _excluded,
    "__module__": __name__,
    "__doc__": "An SB3 algorithm whose updates are pure functions.",
}
