from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN
from torch import nn

from rlcompress.quantization.layers import ResidualAdd
from rlcompress.sb3.environments import make_training_env
from rlcompress.sb3.networks import NETWORKS, ImpalaResNet, policy_for

IMAGE = spaces.Box(0, 255, (84, 84, 4), np.uint8)
FIRST = spaces.Box(0, 255, (4, 84, 84), np.uint8)
VECTOR = spaces.Box(-1, 1, (11,), np.float64)
N_ACTIONS = 6


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def square(side: int) -> spaces.Box:
    return spaces.Box(0, 255, (side, side, 4), np.uint8)


def extractor(space: spaces.Box, **options: bool) -> ImpalaResNet:
    torch.manual_seed(0)
    return ImpalaResNet(space, **options)


@pytest.mark.parametrize(
    ("padded", "sides", "total"),
    [
        (False, [82, 40, 38, 18, 16, 7], 1_998_246),
        (True, [84, 42, 42, 21, 21, 11], 4_357_542),
    ],
)
def test_sizes_are_those_of_the_paper(padded: bool, sides: list[int], total: int) -> None:
    network = extractor(FIRST, padded=padded)
    assert count(network) + count(nn.Linear(512, N_ACTIONS)) == total
    x, seen = torch.rand(2, 4, 84, 84), []
    for stage in network.stages:
        x = stage(x)
        if isinstance(stage, (nn.Conv2d, nn.MaxPool2d)):
            seen.append(x.shape[-1])
    assert seen == sides
    assert network.dense.in_features == 64 * sides[-1] ** 2
    assert network(torch.rand(2, 4, 84, 84)).shape == (2, 512)


def test_the_network_computes_what_it_says() -> None:
    network = extractor(FIRST)
    image = torch.rand(1, 4, 84, 84)
    x = image
    for conv, pool, *blocks in zip(*[iter(network.stages)] * 4, strict=True):
        x = nn.functional.max_pool2d(nn.functional.conv2d(x, conv.weight, conv.bias), 3, 2)
        for block in blocks:
            branch = block.conv1(nn.functional.relu(x))
            x = x + block.conv2(nn.functional.relu(branch))
        assert pool.padding == 0
    x = nn.functional.relu(network.dense(nn.functional.relu(x).flatten(1)))
    assert torch.equal(network(image), x)


def test_every_operation_is_a_module_used_once_and_not_in_place() -> None:
    network = extractor(FIRST)
    calls: dict[str, int] = {}
    names = {}
    for name, module in network.named_modules():
        if not list(module.children()):
            names[name] = module
            module.register_forward_hook(
                lambda *_, name=name: calls.__setitem__(name, calls.get(name, 0) + 1)
            )
    image = torch.rand(1, 4, 84, 84)
    before = image.clone()
    network(image)
    assert torch.equal(image, before)
    assert calls == dict.fromkeys(names, 1)
    kinds = (nn.Conv2d, nn.Linear, nn.ReLU, nn.MaxPool2d, nn.Flatten, ResidualAdd)
    assert all(isinstance(module, kinds) for module in names.values())
    assert not any(getattr(module, "inplace", False) for module in names.values())
    assert sum(isinstance(module, ResidualAdd) for module in names.values()) == 6


@pytest.mark.parametrize("network", ["nature_cnn", "impala_resnet", "impala_padded"])
def test_dqn_learns_with_the_whole_network_and_nothing_added(network: str, tmp_path: Path) -> None:
    env = make_training_env("PongNoFrameskip-v4", seed=0)
    policy, kwargs = policy_for(network, env.observation_space)
    model = DQN(
        policy, env, policy_kwargs=kwargs, buffer_size=50, learning_starts=4, batch_size=4, seed=0
    )
    expected = {
        "nature_cnn": 1_687_206,
        "impala_resnet": 1_998_246,
        "impala_padded": 4_357_542,
    }
    assert count(model.q_net) == expected[network]
    before = model.q_net.q_net[0].weight.clone()
    model.learn(8)
    assert not torch.equal(before, model.q_net.q_net[0].weight)
    model.save(tmp_path / "model.zip")
    again = DQN.load(tmp_path / "model.zip")
    observation = env.reset()
    assert np.array_equal(again.predict(observation)[0], model.predict(observation)[0])


def test_auto_goes_by_the_observations() -> None:
    assert policy_for("auto", VECTOR, net_arch=[32]) == ("MlpPolicy", {"net_arch": [32]})
    assert policy_for("auto", VECTOR) == ("MlpPolicy", {})
    assert policy_for("auto", IMAGE) == policy_for("nature_cnn", FIRST)
    assert policy_for("auto", IMAGE)[1]["net_arch"] == []


@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "mlp"])
def test_the_smallest_image_works_and_a_smaller_one_is_an_error(network: str) -> None:
    smallest = NETWORKS[network].smallest_side
    _, kwargs = policy_for(network, square(smallest))
    first = spaces.Box(0, 255, (4, smallest, smallest), np.uint8)
    features = kwargs["features_extractor_class"](first, **kwargs["features_extractor_kwargs"])
    assert features(torch.rand(1, *first.shape)).shape == (1, 512)
    with pytest.raises(ValueError, match=f"at least {smallest}x{smallest}, got {smallest - 1}x"):
        policy_for(network, square(smallest - 1))


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("network", ["nature_cnn", "impala_resnet"])
def test_the_smallest_image_is_the_smallest(network: str) -> None:
    side = NETWORKS[network].smallest_side - 1
    chosen = NETWORKS[network]
    assert chosen.extractor is not None
    space = spaces.Box(0, 255, (4, side, side), np.uint8)
    with pytest.raises(RuntimeError):
        chosen.extractor(space, **chosen.extractor_kwargs)(torch.rand(1, *space.shape))


@pytest.mark.parametrize(
    ("network", "space", "words"),
    [
        ("impala", IMAGE, "network must be one of auto, mlp, nature_cnn, impala_resnet"),
        ("nature_cn", IMAGE, "did you mean 'nature_cnn'?"),
        ("mlp", IMAGE, r"network=mlp cannot read images \(network=nature_cnn\)"),
        ("impala_resnet", VECTOR, r"cannot read vectors \(network=mlp\)"),
    ],
)
def test_networks_that_cannot_be(network: str, space: spaces.Box, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        policy_for(network, space)
