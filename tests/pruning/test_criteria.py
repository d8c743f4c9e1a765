"""Criteria score single weights, and a registry finds them."""

import pytest
import torch

from rlcompress.pruning.criteria import CRITERIA, criterion
from rlcompress.pruning.registry import lookup


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_magnitude_is_the_absolute_value():
    weight = torch.tensor([[1.5, -2.0], [0.0, -0.25]])
    score = CRITERIA["magnitude"](weight, None, generator())
    assert score.tolist() == [[1.5, 2.0], [0.0, 0.25]]


def test_random_depends_on_the_generator_only():
    first = CRITERIA["random"](torch.zeros(3, 5), None, generator(1))
    again = CRITERIA["random"](torch.ones(3, 5), torch.ones(3, 5), generator(1))
    other = CRITERIA["random"](torch.zeros(3, 5), None, generator(2))
    assert first.shape == (3, 5)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_random_goes_on_where_it_stopped():
    shared = generator()
    first = CRITERIA["random"](torch.zeros(8), None, shared)
    assert not torch.equal(first, CRITERIA["random"](torch.zeros(8), None, shared))


def test_a_new_criterion_is_one_decorated_function(monkeypatch):
    monkeypatch.setattr("rlcompress.pruning.criteria.CRITERIA", dict(CRITERIA))

    @criterion("saliency")
    def saliency(weight, grad, generator):
        return (weight * grad).abs()

    found = lookup(CRITERIA | {"saliency": saliency}, "saliency", "criterion")
    score = found(torch.tensor([1.0, -2.0]), torch.tensor([3.0, 1.0]), generator())
    assert score.tolist() == [3.0, 2.0]


def test_unknown_names_list_the_nearest():
    with pytest.raises(ValueError, match=r"unknown criterion 'magnitud'; did you mean magnitude\?"):
        lookup(CRITERIA, "magnitud", "criterion")
    with pytest.raises(ValueError, match=r"choose from magnitude, random"):
        lookup(CRITERIA, "xyz", "criterion")
