import numpy as np
import pytest
import torch

from rlcompress.compress.matching import Likeness, Matching
from rlcompress.sb3.actors import actor_of
from tests.sb3.models import make_model

CASES = [("SAC", None), ("PPO", "Pendulum-v1"), ("DQN", None), ("QRDQN", None), ("TD3", None)]


def matching(name, env=None):
    model = make_model(name, env)
    return model, Matching.of(actor_of(model), model.action_space)


@pytest.mark.parametrize(("name", "env"), CASES)
def test_actions_are_those_of_predict(name, env):
    model, found = matching(name, env)
    observations = np.random.default_rng(0).normal(size=(20, *model.observation_space.shape))
    observations = observations.astype(np.float32)
    with torch.no_grad():
        values = found.values(actor_of(model).forward(torch.as_tensor(observations)))
    expected, _ = model.predict(observations, deterministic=True)
    actions = found.actions(values, model.action_space.shape)
    np.testing.assert_allclose(actions, expected, atol=1e-5)


@pytest.mark.parametrize(("name", "env"), CASES)
def test_equal_outputs_lose_nothing(name, env):
    _, found = matching(name, env)
    outputs = torch.randn(8, 2 if found.discrete else 1)
    assert float(found.loss(outputs, outputs)) == pytest.approx(0.0, abs=1e-6)
    assert found.likeness(outputs, outputs) == Likeness(0.0, 1.0, 1.0)


def test_beyond_a_bound_is_as_good_as_further_beyond():
    _, found = matching("PPO", "Pendulum-v1")
    student = torch.tensor([[5.0]], requires_grad=True)
    loss = found.loss(student, torch.tensor([[3.0]]))
    assert float(loss.detach()) == 0.0
    # But one that should not be there is pulled back, which clipping alone would not do.
    loss = found.loss(student, torch.tensor([[0.0]]))
    loss.backward()
    assert float(loss.detach()) > 0.0
    assert float(student.grad) > 0.0


def test_discrete_values_count_by_their_differences():
    _, found = matching("DQN")
    teacher = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    assert float(found.loss(teacher + 100.0, teacher)) == pytest.approx(0.0, abs=1e-6)
    assert float(found.loss(teacher.flip(1), teacher)) > 0.1
    assert found.likeness(teacher.flip(1), teacher).agreement == 0.0
    assert found.lead(teacher) == pytest.approx(1.0)


def test_errors_are_in_halves_of_the_range():
    _, found = matching("PPO", "Pendulum-v1")
    likeness = found.likeness(torch.tensor([[1.0]]), torch.tensor([[0.0]]))
    assert likeness.error == pytest.approx(0.5)


def test_actions_that_are_nearly_as_good_count_less():
    _, found = matching("DQN")
    teacher = torch.tensor([[0.0, 3.0], [1.0, 0.0]])
    student = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    likeness = found.likeness(student, teacher)
    assert (likeness.error, likeness.agreement) == (0.5, 0.5)
    assert likeness.weighed == pytest.approx(0.75, abs=1e-5)


def test_disturbed_actions_stay_inside():
    _, found = matching("SAC")
    moved = found.in_units(torch.tensor([[-1.0], [0.0], [1.0]]))
    assert moved.flatten().tolist() == [-2.0, 0.0, 2.0]
