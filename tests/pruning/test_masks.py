"""Masks hold: what is pruned is zero in weights, gradients, optimizer state and twins."""

import copy

import pytest
import torch
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from torch import nn

from rlcompress.pruning.masks import MaskSet

OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=1e-2),
    "amsgrad": lambda p: torch.optim.Adam(p, lr=0.1, amsgrad=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-2),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.9, centered=True),
    "rmsprop_tf_like": lambda p: RMSpropTFLike(p, lr=0.1),
    "adamax": lambda p: torch.optim.Adamax(p, lr=0.1),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1, initial_accumulator_value=0.5),
    "nadam": lambda p: torch.optim.NAdam(p, lr=0.1),
}


def make_layer() -> nn.Linear:
    layer = nn.Linear(4, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(-6.0, 6.0).view(3, 4) + 0.5)
    return layer


def make_mask(*rows: str) -> torch.Tensor:
    return torch.tensor([[cell == "1" for cell in row] for row in rows])


HALF = ("1010", "0101", "0011")
LESS = ("1000", "0001", "0010")


def step(layer: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    layer(torch.tensor([[1.0, 2.0, -1.0, 3.0], [0.5, 1.0, 1.0, -2.0]])).square().mean().backward()
    optimizer.step()


def moments(optimizer, weight):
    state = optimizer.state[weight].values()
    return [v for v in state if isinstance(v, torch.Tensor) and v.shape == weight.shape]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("steps_before", [0, 3])
def test_steps_leave_pruned_weights_and_state_at_zero(name, steps_before):
    layer = make_layer()
    optimizer = OPTIMIZERS[name](layer.parameters())
    for _ in range(steps_before):
        step(layer, optimizer)
    masks = MaskSet({"layer": layer.weight})
    masks.attach(optimizer)
    for rows in (HALF, LESS):
        masks.update({"layer": make_mask(*rows)})
        for _ in range(4):
            step(layer, optimizer)
            for tensor in (layer.weight, *moments(optimizer, layer.weight)):
                assert (tensor[~make_mask(*rows)] == 0.0).all()
    assert (layer.weight[make_mask(*LESS)] != 0.0).all()
    assert moments(optimizer, layer.weight)


def test_momentum_from_before_does_not_outlive_an_update():
    layer = make_layer()
    optimizer = OPTIMIZERS["adam"](layer.parameters())
    masks = MaskSet({"layer": layer.weight})
    masks.attach(optimizer)
    step(layer, optimizer)
    masks.update({"layer": make_mask(*HALF)})
    for moment in moments(optimizer, layer.weight):
        assert (moment[~make_mask(*HALF)] == 0.0).all()
        assert (moment[make_mask(*HALF)] != 0.0).all()


def test_what_is_loaded_after_attaching_is_masked_on_the_next_step():
    layer = make_layer()
    optimizer = OPTIMIZERS["amsgrad"](layer.parameters())
    step(layer, optimizer)
    dense = copy.deepcopy((layer.state_dict(), optimizer.state_dict()))
    masks = MaskSet({"layer": layer.weight})
    masks.attach(optimizer)
    masks.update({"layer": make_mask(*HALF)})
    step(layer, optimizer)
    layer.load_state_dict(dense[0])
    optimizer.load_state_dict(dense[1])
    step(layer, optimizer)
    for tensor in (layer.weight, *moments(optimizer, layer.weight)):
        assert (tensor[~make_mask(*HALF)] == 0.0).all()


def test_pruned_zeros_are_positive():
    layer = make_layer()
    MaskSet({"layer": layer.weight}).update({"layer": make_mask(*HALF)})
    assert not layer.weight[~make_mask(*HALF)].signbit().any()


def test_clipping_sees_the_norm_of_what_is_left():
    layer = make_layer()
    masks = MaskSet({"layer": layer.weight})
    masks.attach(torch.optim.SGD(layer.parameters(), lr=0.0))
    layer(torch.ones(1, 4)).sum().backward()
    masks.update({"layer": make_mask(*HALF)})
    layer.zero_grad()
    layer(torch.ones(1, 4)).sum().backward()
    # Six live weights with gradient 1.
    assert torch.nn.utils.clip_grad_norm_([layer.weight], 100.0).item() == pytest.approx(6**0.5)


def test_functional_gradients_and_their_products_are_masked():
    layer = make_layer()
    masks = MaskSet({"layer": layer.weight})
    masks.update({"layer": make_mask(*HALF)})
    masks.attach(torch.optim.SGD(layer.parameters(), lr=0.1), functional=True)
    loss = layer(torch.ones(1, 4)).pow(3).sum()
    (gradient,) = torch.autograd.grad(loss, layer.weight, create_graph=True)
    vector = torch.ones_like(gradient)
    (product,) = torch.autograd.grad((gradient * vector).sum(), layer.weight)
    pruned = ~make_mask(*HALF)
    assert (gradient[pruned] == 0.0).all()
    assert (product[pruned] == 0.0).all()
    assert (gradient[~pruned] != 0.0).all()
    # The Hessian of the live weights alone: row i has two ones, so 6 x_i times two.
    expected = 12.0 * layer(torch.ones(1, 4)).detach().flatten()
    assert product[make_mask(*HALF)].tolist() == pytest.approx(
        expected.repeat_interleave(2).tolist()
    )


def test_twins_are_masked_with_the_weights():
    layer, twin = make_layer(), make_layer()
    masks = MaskSet({"layer": layer.weight}, twins={"layer": twin.weight})
    masks.update({"layer": make_mask(*HALF)})
    assert torch.equal(twin.weight, layer.weight)
    assert torch.equal(twin.weight != 0.0, make_mask(*HALF))


def test_detached_masks_let_weights_grow():
    layer = make_layer()
    optimizer = OPTIMIZERS["adam"](layer.parameters())
    masks = MaskSet({"layer": layer.weight})
    masks.attach(optimizer)
    masks.update({"layer": make_mask(*HALF)})
    masks.detach()
    step(layer, optimizer)
    assert (layer.weight != 0.0).all()


def test_attaching_twice_leaves_one_set_of_hooks():
    layer = make_layer()
    masks = MaskSet({"layer": layer.weight})
    old, new = (OPTIMIZERS["sgd"](layer.parameters()) for _ in range(2))
    masks.update({"layer": make_mask(*HALF)})
    masks.attach(old)
    masks.attach(new)
    assert masks.holds({"layer": layer.weight}, new)
    assert not masks.holds({"layer": layer.weight}, old)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    old.step()
    assert (layer.weight != 0.0).all()
    new.step()
    assert torch.equal(layer.weight != 0.0, make_mask(*HALF))


def test_counts_and_sparsity_follow_the_masks():
    layer, other = make_layer(), make_layer()
    masks = MaskSet({"a": layer.weight, "b": other.weight})
    assert masks.sparsity == 0.0
    masks.update({"a": make_mask(*HALF)})
    assert masks.kept == {"a": 6, "b": 12}
    assert masks.total == 24
    assert masks.sparsity == pytest.approx(0.25)
    assert (other.weight != 0.0).all()


def test_masks_never_bring_weights_back():
    masks = MaskSet({"layer": make_layer().weight})
    masks.update({"layer": make_mask(*LESS)})
    with pytest.raises(ValueError, match=r"mask of 'layer' brings back pruned weights"):
        masks.update({"layer": make_mask(*HALF)})


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"other": torch.ones(3, 4, dtype=torch.bool)}, r"no layer 'other' is masked"),
        ({"layer": torch.ones(4, 3, dtype=torch.bool)}, r"must be bool \(3, 4\), got .*\(4, 3\)"),
        ({"layer": torch.ones(3, 4)}, r"must be bool \(3, 4\), got torch.float32"),
    ],
)
def test_unfitting_masks_are_refused(update, message):
    with pytest.raises(ValueError, match=message):
        MaskSet({"layer": make_layer().weight}).update(update)


def test_state_goes_round_and_is_a_copy():
    layer = make_layer()
    masks = MaskSet({"layer": layer.weight})
    masks.update({"layer": make_mask(*HALF)})
    state = masks.state_dict()
    masks.update({"layer": make_mask(*LESS)})
    assert torch.equal(state["layer"], make_mask(*HALF))

    fresh = make_layer()
    restored = MaskSet({"layer": fresh.weight})
    restored.load_state_dict(state)
    assert restored.kept == {"layer": 6}
    assert torch.equal(fresh.weight != 0.0, make_mask(*HALF))
    with pytest.raises(ValueError, match=r"masks are for layers \['layer'\]"):
        MaskSet({"other": fresh.weight}).load_state_dict(state)
