"""What torch makes of the traced updates is still SB3's update; compiling takes seconds each."""

import pytest

from rlcompress.fast.accelerate import accelerate_, is_fast
from rlcompress.fast.engine import FastOptions
from tests.fast.twins import KINDS, furthest, prepared, train, twins


def check(name, kind):
    plain, fast = twins(name, kind, compiled=True)
    for model in (plain, fast):
        train(model, 100)
    assert fast._n_updates == 100
    assert furthest(plain, fast) < 1e-5


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
