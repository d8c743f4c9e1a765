import numpy as np
import torch
from stable_baselines3 import DQN
from torch import nn

from rlcompress.compress.matching import Matching
from rlcompress.compress.saliency import RunningSaliency, _mean_square, saliency, sensitivity
from rlcompress.sb3.actors import actor_of
from tests.sb3.models import make_model
from tests.sb3.odd_envs import register


def by_hand(layer, x, gradient):
    total = torch.zeros_like(layer.weight)
    for row, grad in zip(x, gradient, strict=True):
        out = layer(row[None])
        (found,) = torch.autograd.grad(out, layer.weight, grad[None])
        total += found.square()
    return total / len(x)


def test_mean_squares_are_those_of_single_gradients():
    torch.manual_seed(0)
    layers = [
        (nn.Linear(5, 3), torch.randn(4, 5)),
        (nn.Conv2d(2, 3, 3, stride=2, padding=1), torch.randn(4, 2, 7, 6)),
        (nn.Conv2d(2, 3, (2, 4)), torch.randn(4, 2, 7, 6)),
    ]
    for layer, x in layers:
        gradient = torch.randn_like(layer(x))
        torch.testing.assert_close(
            _mean_square(layer, x, gradient), by_hand(layer, x, gradient), rtol=1e-4, atol=1e-5
        )


def test_what_nothing_reads_is_worth_nothing():
    model = make_model("SAC")
    actor = actor_of(model)
    with torch.no_grad():
        actor.root.mu.weight[:, 3] = 0.0
    found = saliency(
        actor,
        Matching.of(actor, model.action_space),
        torch.randn(64, 3),
        torch.Generator().manual_seed(0),
    )
    assert list(found) == list(actor.layers)
    hidden = found["latent_pi.2"]
    assert float(hidden[3].abs().max()) == 0.0
    assert float(hidden.max()) > 0.0


def test_it_says_what_taking_a_weight_away_changes():
    """To first order: for one output and no squashing the saliency is the squared change."""
    model = make_model("PPO", "Pendulum-v1")
    actor, matching = actor_of(model), Matching.of(actor_of(model), model.action_space)
    observations = torch.randn(256, 3)
    found = saliency(actor, matching, observations, torch.Generator().manual_seed(0))
    weight = actor.layers["action_net"].weight
    with torch.no_grad():
        before = matching.effect(actor.forward(observations))
        kept = float(weight[0, 5])
        weight[0, 5] = 0.0
        change = (matching.effect(actor.forward(observations)) - before).square().mean()
        weight[0, 5] = kept
    np.testing.assert_allclose(float(found["action_net"][0, 5]), float(change), rtol=1e-4)


def test_what_was_seen_before_counts_by_its_age():
    model = make_model("SAC")
    actor, matching = actor_of(model), Matching.of(actor_of(model), model.action_space)
    seen = [torch.randn(32, 3) for _ in range(3)]

    def signs():
        return torch.Generator().manual_seed(0)

    squares = [sensitivity(actor, matching, one, signs())["mu"] for one in seen]
    running = RunningSaliency(0.5)
    for one in seen:
        running.update_(actor, matching, one, signs())
    mean = (0.25 * squares[0] + 0.5 * squares[1] + squares[2]) / 1.75
    weight = actor.layers["mu"].weight.detach().clone()
    torch.testing.assert_close(running.worth(actor)["mu"], weight.square() * mean)
    # Weights may have moved since; what the action feels of them is what is remembered.
    with torch.no_grad():
        actor.layers["mu"].weight.mul_(2.0)
    torch.testing.assert_close(running.worth(actor)["mu"], 4.0 * weight.square() * mean)
    again = RunningSaliency(0.5)
    again.load_state_dict(running.state_dict(), torch.device("cpu"))
    torch.testing.assert_close(again.worth(actor)["mu"], running.worth(actor)["mu"])


def test_images():
    from gymnasium import spaces

    env = register("CompressImages-v0", observation_space=spaces.Box(0, 255, (36, 36, 3), np.uint8))
    model = DQN("CnnPolicy", env, buffer_size=10, device="cpu")
    actor = actor_of(model)
    found = saliency(
        actor,
        Matching.of(actor, model.action_space),
        torch.rand(3, 3, 36, 36),
        torch.Generator().manual_seed(0),
    )
    for name, layer in actor.layers.items():
        assert found[name].shape == layer.weight.shape
        assert float(found[name].min()) >= 0.0
