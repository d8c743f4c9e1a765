"""REINFORCE on the reusing stack: the same updates as with autograd, and it learns."""

import numpy as np
import pytest
import torch
from torch import nn

from rlcompress.reuse.arms import POLICIES, Shape, policy_arm
from rlcompress.reuse.catch import Catch
from rlcompress.reuse.reinforce import Reinforce, discounted, normalised, sample


def test_returns_are_discounted_within_episodes():
    found = discounted([1.0, 2.0, 4.0, 8.0], [False, True, False, False], 0.5)
    np.testing.assert_array_equal(found, [2.0, 2.0, 8.0, 8.0])


def test_normalised_returns():
    found = normalised(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(found, [-1 / 1.0001, 0, 1 / 1.0001])
    np.testing.assert_array_equal(normalised(np.array([5.0])), [0.0])


def test_samples_follow_the_softmax():
    rng = np.random.default_rng(0)
    logits = np.array([0.0, np.log(3.0), -1000.0], np.float32)
    counts = np.bincount([sample(logits, rng) for _ in range(4000)], minlength=3)
    assert counts[2] == 0
    assert counts[0] / 4000 == pytest.approx(0.25, abs=0.03)


def test_extreme_logits_are_no_trouble():
    rng = np.random.default_rng(0)
    assert sample(np.array([3e38, -3e38], np.float32), rng) == 0
    assert sample(np.array([-3e38, 3e38], np.float32), rng) == 1


def frames(count):
    rng = np.random.default_rng(1)
    found = [rng.integers(0, 256, (1, 13, 11), dtype=np.uint8)]
    for _ in range(count - 1):
        frame = found[-1].copy()
        frame[0, rng.integers(13), rng.integers(11)] ^= 40
        found.append(frame)
    return found


def test_an_update_is_autograd_s():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 11 * 9, 4)
    ).double()
    with torch.no_grad():
        net[0].weight /= 255
    before = [p.detach().clone() for p in net.parameters()]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    policy = Reinforce(net, (1, 13, 11), optimizer, gamma=0.9, entropy=0.02, mean=True)
    seen, actions = frames(12), []
    for k, frame in enumerate(seen):
        actions.append(policy.act(frame))
        policy.rewarded(float(k % 3), k == 6)
    ends = [k == 6 for k in range(12)]
    returns = normalised(discounted([float(k % 3) for k in range(12)], ends, 0.9))
    assert len(policy) == 12
    loss = policy.update_()
    assert len(policy) == 0
    after = [p.detach().clone() for p in net.parameters()]
    with torch.no_grad():
        for p, value in zip(net.parameters(), before, strict=True):
            p.copy_(value)
    log_p = net(torch.from_numpy(np.stack(seen)).double()).log_softmax(1)
    chosen = log_p[torch.arange(12), actions]
    expected = -(chosen * torch.from_numpy(returns)).sum() + 0.02 * (log_p.exp() * log_p).sum()
    net.zero_grad()
    (expected / 12).backward()
    assert loss == pytest.approx(expected.item() / 12, rel=1e-9)
    for p, value in zip(net.parameters(), after, strict=True):
        torch.testing.assert_close(value, p.detach() - 0.1 * p.grad, rtol=1e-9, atol=1e-12)


def test_an_environment_may_use_one_frame_for_all_steps():
    seen, shared = frames(9), np.empty((1, 13, 11), np.uint8)
    found = []
    for copies in (True, False):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 11 * 9, 4))
        policy = Reinforce(net, (1, 13, 11), torch.optim.SGD(net.parameters(), lr=1e-6))
        for step, frame in enumerate(seen):
            shared[...] = frame
            policy.act(frame if copies else shared)
            policy.rewarded(float(step % 3), False)
        policy.update_()
        found.append([p.detach() for p in net.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_an_update_needs_steps_that_are_complete():
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(3 * 11 * 9, 4))
    policy = Reinforce(net, (1, 13, 11), torch.optim.SGD(net.parameters(), lr=0.1))
    with pytest.raises(ValueError, match="got 0 actions and 0 rewards"):
        policy.update_()
    policy.act(frames(1)[0])
    policy.act(frames(1)[0])
    policy.rewarded(1.0, True)
    with pytest.raises(ValueError, match="got 2 actions and 1 rewards"):
        policy.update_()


@pytest.mark.parametrize("kind", POLICIES)
def test_every_arm_acts_and_updates(kind):
    torch.manual_seed(0)
    shape = Shape(2, (13, 11), 4, seed=1)
    policy = policy_arm(kind, shape)
    before = [p.detach().clone() for p in policy.network.parameters()]
    for _ in range(2):
        for frame in frames(6):
            assert policy.act(frame[0]) in range(4)
            policy.rewarded(1.0, False)
        assert np.isfinite(policy.update_())
    assert any(
        not torch.equal(p, b) for p, b in zip(policy.network.parameters(), before, strict=True)
    )


def test_it_learns_to_catch():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 10 * 10, 3)
    )
    with torch.no_grad():
        net[0].weight /= 255
        net[3].weight /= 10
    groups = [{"params": net[0].weight, "lr": 1e-3 / 255}, {"params": net[3].parameters()}]
    policy = Reinforce(
        net, (1, 12, 12), torch.optim.Adam(groups, lr=1e-2), gamma=0.98, entropy=0.01, mean=True
    )
    env = Catch(12, balls=1)
    frame, _ = env.reset(seed=0)
    caught = []
    for step in range(1, 8001):
        frame, reward, ended, _, _ = env.step(policy.act(frame))
        policy.rewarded(reward, ended)
        if ended:
            caught.append(reward > 0)
            frame, _ = env.reset()
        if step % 100 == 0:
            policy.update_()
    assert np.mean(caught[:200]) < 0.75
    assert np.mean(caught[-200:]) > 0.9


def test_catch_is_an_environment():
    from gymnasium.utils.env_checker import check_env

    check_env(Catch(), skip_render_check=True)
    with pytest.raises(ValueError, match="side must be even"):
        Catch(13)
    with pytest.raises(ValueError, match="balls must be at least 1"):
        Catch(balls=0)


def test_perfect_play_catches_every_ball():
    env = Catch(20, balls=3)
    env.reset(seed=1)
    total, ended = 0.0, False
    while not ended:
        move = np.sign(env._column - env._paddle) + 1
        _, reward, ended, _, _ = env.step(int(move))
        total += reward
    assert total == 3
