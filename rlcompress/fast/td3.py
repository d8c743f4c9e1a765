"""TD3's (and DDPG's) update as a pure function; the mathematics are SB3's, term by term."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from rlcompress.fast.critics import critic_block, prepared, squared_errors, values
from rlcompress.fast.networks import Weights, run
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


class Td3Update(Update):
    """One gradient step of TD3: critics, and every so often the actor and the targets."""

    losses = ("actor_loss", "critic_loss")

    def __init__(self, model: Any, *, keep_gradients: bool) -> None:
        super().__init__(model, keep_gradients=keep_gradients)
        check_plain(model.policy)
        self._check(model.actor, model.actor_target, model.critic, model.critic_target)
        critic = critic_block(model.critic)
        actor = block_of(model.actor.optimizer, list(model.actor.parameters()))
        self.blocks = {"critic": critic, "actor": actor}
        self.targets["critic"] = paired(model.critic, model.critic_target, critic)
        self.targets["actor"] = paired(model.actor, model.actor_target, actor)

    def variant(self) -> str:
        """SB3 counts before it asks."""
        due = (self.model._n_updates + 1) % self.model.policy_delay == 0
        return "all" if due else "critic"

    def observes(self, variant: str) -> bool:
        """The actor runs with gradients only where it is stepped."""
        return variant == "all"

    def rows(self, variant: str) -> list[str]:
        """Blocks in the order of ``numbers``."""
        return ["critic", "actor"] if variant == "all" else ["critic"]

    def logged(self, variant: str) -> tuple[str, ...]:
        """Names of what the variant's step returns."""
        return self.losses if variant == "all" else ("critic_loss",)

    def noise(self, samples: ReplayBufferSamples) -> list[torch.Tensor]:
        """Of the target policy, not clipped yet."""
        drawn = samples.actions.clone().normal_(0, self.model.target_policy_noise)
        return [drawn]

    def step(self, inputs: Inputs, variant: str) -> Result:
        """See SB3's ``TD3.train``, whose order of updates this keeps."""
        critic_loss = self._critic_step(inputs)
        if variant != "all":
            return Result(critic_loss.reshape(1))
        batch, tensors = inputs.batch, inputs.blocks["actor"]
        leaf = leaves(tensors["weights"])
        actions = self._act(
            self.model.actor, batch.observations, self.weights(inputs, "actor", leaf)
        )
        weights = self.weights(inputs, "critic", inputs.blocks["critic"]["weights"])
        found = values(self.model.critic, batch.observations, actions, weights, first_only=True)
        loss = -found[0].mean()
        gradients = masked(torch.autograd.grad(loss, leaf), tensors["factors"])
        with torch.no_grad():
            adam_(self.blocks["actor"].adam, tensors, gradients, inputs.numbers[1])
            for name in ("critic", "actor"):
                follow_(inputs.targets[name], inputs.blocks[name]["weights"], self.model.tau)
        kept = gradients if self.keep_gradients else []
        return Result(torch.stack([loss.detach(), critic_loss]), kept)

    def _act(self, actor: Any, observations: torch.Tensor, weights: Weights) -> torch.Tensor:
        features = run(actor.features_extractor, prepared(actor, observations), weights)
        return run(actor.mu, features, weights)

    def _critic_step(self, inputs: Inputs) -> torch.Tensor:
        batch, model, tensors = inputs.batch, self.model, inputs.blocks["critic"]
        with torch.no_grad():
            limit = model.target_noise_clip
            noise = batch.noise[0].clamp(-limit, limit)
            ahead = self._act(
                model.actor_target, batch.next_observations, self.target(inputs, "actor")
            )
            actions = (ahead + noise).clamp(-1.0, 1.0)
            target = self.target(inputs, "critic")
            found = values(model.critic_target, batch.next_observations, actions, target)
            wanted = batch.rewards + (1.0 - batch.dones) * batch.discounts * smallest(found)
        leaf = leaves(tensors["weights"])
        current = values(
            model.critic, batch.observations, batch.actions, self.weights(inputs, "critic", leaf)
        )
        loss = squared_errors(current, wanted)
        gradients = torch.autograd.grad(loss, leaf)
        with torch.no_grad():
            adam_(self.blocks["critic"].adam, tensors, gradients, inputs.numbers[0])
        return loss.detach()
