"""DQN's update as a pure function; the mathematics are SB3's, term by term."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from torch.nn import functional

from rlcompress.fast.critics import prepared
from rlcompress.fast.networks import Weights, run
from rlcompress.fast.optimizer import Block, adam_, block_of, masked
from rlcompress.fast.update import Inputs, Result, Update, check_plain, leaves, paired

_EPSILON = 1e-6  # In torch's clipping of gradients.


class DqnUpdate(Update):
    """One gradient step of DQN; its target is copied by SB3, between the steps."""

    losses = ("loss",)

    def __init__(self, model: Any, *, keep_gradients: bool) -> None:
        super().__init__(model, keep_gradients=keep_gradients)
        check_plain(model.policy)
        self._check(model.q_net, model.q_net_target)
        block = block_of(model.policy.optimizer, list(model.q_net.parameters()))
        self.blocks["q_net"] = block
        self.targets["q_net"] = paired(model.q_net, model.q_net_target, block)

    def acting_block(self) -> Block:
        """The block of the one network."""
        return self.blocks["q_net"]

    def noise(self, samples: ReplayBufferSamples) -> list[torch.Tensor]:
        """DQN's update draws nothing."""
        return []

    def step(self, inputs: Inputs, variant: str) -> Result:
        """See SB3's ``DQN.train``."""
        batch, model, tensors = inputs.batch, self.model, inputs.blocks["q_net"]
        with torch.no_grad():
            target = self.target(inputs, "q_net")
            ahead = self._values(model.q_net_target, batch.next_observations, target)
            best = ahead.amax(dim=1, keepdim=True)
            wanted = batch.rewards + (1.0 - batch.dones) * batch.discounts * best
        leaf = leaves(tensors["weights"])
        found = self._values(model.q_net, batch.observations, self.weights(inputs, "q_net", leaf))
        chosen = torch.gather(found, dim=1, index=batch.actions.long())
        loss = functional.smooth_l1_loss(chosen, wanted)
        gradients = masked(torch.autograd.grad(loss, leaf), tensors["factors"])
        with torch.no_grad():
            norm = torch.stack([(g * g).sum() for g in gradients]).sum().sqrt()
            factor = (model.max_grad_norm / (norm + _EPSILON)).clamp(max=1.0)
            gradients = [gradient * factor for gradient in gradients]
            adam_(self.blocks["q_net"].adam, tensors, gradients, inputs.numbers[0])
        kept = gradients if self.keep_gradients else []
        return Result(loss.detach().reshape(1), kept)

    def _values(self, network: Any, observations: torch.Tensor, weights: Weights) -> torch.Tensor:
        features = run(network.features_extractor, prepared(network, observations), weights)
        return run(network.q_net, features, weights)
