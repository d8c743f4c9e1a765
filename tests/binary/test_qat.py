import numpy as np
import torch

from rlcompress.binary.encoders import make_encoder
from rlcompress.binary.qat import BinaryLinear, Sign, binarise_, freeze_dqn, make_dqn


def test_the_frozen_policy_acts_as_the_trained_network() -> None:
    torch.manual_seed(0)
    encoder = make_encoder("thermometer", [-2.4, -3, -0.2, -3], [2.4, 3, 0.2, 3])
    model = make_dqn("CartPole-v1", encoder, (64,), seed=0, learning_starts=50, buffer_size=500)
    model.learn(100)
    names = [name for name, _ in model.q_net.named_parameters()]
    binarise_(model)
    assert [name for name, _ in model.q_net.named_parameters()] == names
    model.learn(100)
    policy = freeze_dqn(model)
    assert policy.network.widths == (64, 64, 2)
    seen = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    with torch.no_grad():
        q = model.q_net(torch.from_numpy(seen)).numpy()
    z = policy.network.forward(policy.encoder.encode(seen))
    last = model.q_net.q_net[-1]
    assert isinstance(last, BinaryLinear)
    alpha = last.weight.detach().abs().mean().numpy()
    np.testing.assert_allclose(q, alpha * z, rtol=1e-4, atol=1e-4)
    clear = z[:, 0] != z[:, 1]
    assert np.array_equal(policy.act(seen)[clear], q.argmax(1)[clear])


def test_gradients_go_straight_through() -> None:
    layer = BinaryLinear(torch.nn.Linear(5, 3))
    x = torch.ones(2, 5)
    layer(x).sum().backward()
    assert torch.equal(layer.weight.grad, torch.full((3, 5), 2.0))
    y = torch.tensor([-2.0, -0.5, 0.0, 0.5, 2.0], requires_grad=True)
    signs = Sign()(y)
    assert signs.tolist() == [-1.0, -1.0, -1.0, 1.0, 1.0]
    signs.sum().backward()
    assert y.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_running_quantiles_of_an_environment() -> None:
    from rlcompress.binary.rollouts import observed_quantiles

    seen = observed_quantiles("CartPole-v1", steps=300, seed=0)
    edges = seen.edges(5)
    assert edges.shape == (4, 5) and (np.diff(edges, axis=1) >= 0).all()
    assert np.abs(edges[2]).max() < 0.21  # Radians, not degrees.
