"""What torch makes of the traced updates is still SB3's update; compiling takes seconds each."""

import pytest
import torch

from rlcompress.fast.accelerate import accelerate_, is_fast
from rlcompress.fast.engine import FastOptions
from tests.fast.twins import KINDS, furthest, prepared, train, twins


def check(name, kind):
    """Equal to 1e-5 after 100 updates, but where rounding makes the last bit of SB3's own matter.

    A value next to a rounding boundary goes the other way for a difference in its last bit, by a
    whole step, and Adam makes of that what it makes of any gradient. How far that leads is measured
    on SB3 itself, begun from weights that differ in their last bit.
    """
    plain, fast = twins(name, kind, compiled=True)
    for model in (plain, fast):
        train(model, 5)
    assert furthest(plain, fast) < 1e-6
    for model in (plain, fast):
        train(model, 95)
    assert fast._n_updates == 100
    found = furthest(plain, fast)
    if found >= 1e-5:
        assert kind in ("quantised", "both")
        assert found < 2 * max(led_astray(name, kind, plain, seed) for seed in range(8))


def led_astray(name, kind, plain, seed):
    """How far SB3 ends from ``plain`` when it begins a last bit away from it."""
    model, _ = prepared(name, kind)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.policy.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.mul_(1 + torch.finfo(torch.float32).eps / 2 * noise)
    for updates in (5, 95):
        train(model, updates)
    return furthest(plain, model)


def test_sac_pruned_and_quantised():
    check("SAC", "both")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["SAC", "TD3", "DDPG", "DQN"])
def test_every_algorithm(name, kind):
    check(name, kind)


def test_two_processes_would_compute_alike():
    """The same graph, traced twice, gives the same bits."""
    models = [prepared("DQN", "pruned")[0] for _ in range(2)]
    for model in models:
        accelerate_(model, FastOptions(compiled=True))
        assert is_fast(model)
        train(model, 20)
    assert furthest(*models) == 0.0


@pytest.mark.parametrize("compiled", [True, False])
def test_moments_too_small_for_full_precision_become_zero_where_compiled(compiled):
    """Processors may take a hundred times as long for them; uncompiled is what SB3 computes."""
    torch.set_num_threads(1)
    model, _ = prepared("DQN", "dense")
    accelerate_(model, FastOptions(compiled=compiled))
    train(model, 1)
    state = model.policy.optimizer.state.values()
    for entry in state:
        entry["exp_avg_sq"].fill_(3e-39)
        entry["exp_avg"].fill_(3e-39)
    train(model, 1)
    least = torch.finfo(torch.float32).tiny
    small = [
        bool(((entry[name] != 0) & (entry[name].abs() < least)).any())
        for entry in state
        for name in ("exp_avg", "exp_avg_sq")
    ]
    assert any(small) is not compiled


def test_where_nothing_can_be_compiled(monkeypatch):
    said = []
    model, _ = prepared("TD3", "dense")
    other, _ = prepared("TD3", "dense")
    monkeypatch.setattr("torch.compile", lambda *_, **__: 1 / 0)
    accelerate_(model, FastOptions(announce=said.append))
    for twin in (model, other):
        train(twin, 4)
    assert furthest(model, other) == 0.0
    assert any("cannot be compiled (division by zero)" in line for line in said)
