"""SAC's update as a pure function; the mathematics are SB3's, term by term."""

from __future__ import annotations

import math
from typing import Any

import torch
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN

from rlcompress.fast.critics import critic_block, prepared, squared_errors, values
from rlcompress.fast.networks import Unsupported, Weights, run
from rlcompress.fast.optimizer import adam_, block_of, masked
from rlcompress.fast.update import (
    Inputs,
    Result,
    Update,
    check_plain,
    follow_,
    leaves,
    paired,
    smallest,
)

_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)
_EPSILON = 1e-6  # In SB3's logarithm of the squashing's derivative.


class SacUpdate(Update):
    """One gradient step of SAC: entropy coefficient, critics, actor, targets."""

    losses = ("ent_coef", "actor_loss", "critic_loss", "ent_coef_loss")

    def __init__(self, model: Any, *, keep_gradients: bool) -> None:
        super().__init__(model, keep_gradients=keep_gradients)
        if model.use_sde:
            raise Unsupported("use_sde=True explores by noise in the features")
        if model.target_update_interval != 1:
            raise Unsupported(f"target_update_interval={model.target_update_interval}")
        check_plain(model.policy)
        self._check(model.actor, model.critic, model.critic_target)
        critic = critic_block(model.critic)
        self.blocks["critic"] = critic
        self.blocks["actor"] = block_of(model.actor.optimizer, list(model.actor.parameters()))
        if model.ent_coef_optimizer is not None:
            self.blocks["entropy"] = block_of(model.ent_coef_optimizer, [model.log_ent_coef])
        else:
            self.targets["entropy"] = [model.ent_coef_tensor]
        self.targets["critic"] = paired(model.critic, model.critic_target, critic)

    def logged(self, variant: str) -> tuple[str, ...]:
        """A fixed coefficient has no loss."""
        return self.losses if "entropy" in self.blocks else self.losses[:3]

    def noise(self, samples: ReplayBufferSamples) -> list[torch.Tensor]:
        """For the actions in the observations, then in the next ones."""
        shape, device = samples.actions.shape, samples.actions.device
        return [torch.randn(shape, device=device) for _ in range(2)]

    def step(self, inputs: Inputs, variant: str) -> Result:
        """See SB3's ``SAC.train``, whose order of updates this keeps."""
        batch = inputs.batch
        actor_leaves = leaves(inputs.blocks["actor"]["weights"])
        weights = self.weights(inputs, "actor", actor_leaves)
        actions, log_prob = self._act(batch.observations, batch.noise[0], weights)
        coefficient, entropy_loss = self._entropy_step(inputs, log_prob.detach())
        critic_loss = self._critic_step(inputs, coefficient)
        found = values(
            self.model.critic,
            batch.observations,
            actions,
            self.weights(inputs, "critic", inputs.blocks["critic"]["weights"]),
        )
        loss = (coefficient * log_prob - smallest(found)).mean()
        gradients = masked(
            torch.autograd.grad(loss, actor_leaves), inputs.blocks["actor"]["factors"]
        )
        with torch.no_grad():
            row = inputs.numbers[list(self.blocks).index("actor")]
            adam_(self.blocks["actor"].adam, inputs.blocks["actor"], gradients, row)
            follow_(inputs.targets["critic"], inputs.blocks["critic"]["weights"], self.model.tau)
        losses = [coefficient, loss.detach(), critic_loss]
        losses += [] if entropy_loss is None else [entropy_loss]
        kept = gradients if self.keep_gradients else []
        return Result(torch.stack([value.reshape(()) for value in losses]), kept)

    def _act(
        self, observations: torch.Tensor, noise: torch.Tensor, weights: Weights
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Squashed actions with their log probabilities, (batch, 1)."""
        actor = self.model.actor
        features = run(actor.features_extractor, prepared(actor, observations), weights)
        latent = run(actor.latent_pi, features, weights)
        mean = run(actor.mu, latent, weights)
        log_std = run(actor.log_std, latent, weights).clamp(LOG_STD_MIN, LOG_STD_MAX)
        std = log_std.exp()
        drawn = mean + noise * std
        actions = torch.tanh(drawn)
        log_std = std.log()
        density = -((drawn - mean) ** 2) / (2.0 * std**2) - log_std - _HALF_LOG_TWO_PI
        log_prob = density.sum(dim=1) - torch.log(1.0 - actions**2 + _EPSILON).sum(dim=1)
        return actions, log_prob.reshape(-1, 1)

    def _entropy_step(
        self, inputs: Inputs, log_prob: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The coefficient before its step, and the loss of the step."""
        if "entropy" not in self.blocks:
            return inputs.targets["entropy"][0], None
        tensors = inputs.blocks["entropy"]
        coefficient = tensors["weights"][0].exp()
        leaf = leaves(tensors["weights"])
        loss = -(leaf[0] * (log_prob + self.model.target_entropy)).mean()
        gradients = torch.autograd.grad(loss, leaf)
        row = inputs.numbers[list(self.blocks).index("entropy")]
        with torch.no_grad():
            adam_(self.blocks["entropy"].adam, tensors, gradients, row)
        return coefficient, loss.detach()

    def _critic_step(self, inputs: Inputs, coefficient: torch.Tensor) -> torch.Tensor:
        batch, critic = inputs.batch, self.model.critic
        tensors = inputs.blocks["critic"]
        with torch.no_grad():
            actor = self.weights(inputs, "actor", inputs.blocks["actor"]["weights"])
            actions, log_prob = self._act(batch.next_observations, batch.noise[1], actor)
            target = self.target(inputs, "critic")
            found = values(self.model.critic_target, batch.next_observations, actions, target)
            ahead = smallest(found) - coefficient * log_prob
            wanted = batch.rewards + (1.0 - batch.dones) * batch.discounts * ahead
        leaf = leaves(tensors["weights"])
        current = values(
            critic, batch.observations, batch.actions, self.weights(inputs, "critic", leaf)
        )
        loss = 0.5 * squared_errors(current, wanted)
        gradients = torch.autograd.grad(loss, leaf)
        row = inputs.numbers[list(self.blocks).index("critic")]
        with torch.no_grad():
            adam_(self.blocks["critic"].adam, tensors, gradients, row)
        return loss.detach()
