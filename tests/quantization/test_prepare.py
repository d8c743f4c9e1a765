"""Networks turned into fake-quantised ones: what changes, what must not, what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from rlcompress.quantization import state
from rlcompress.quantization.layers import (
    LayerQuantization,
    QuantConv2d,
    QuantHardtanh,
    QuantLinear,
    QuantReLU,
    QuantResidualAdd,
    QuantTanh,
    ResidualAdd,
)
from rlcompress.quantization.prepare import calibrate_, check_quantisable, prepare_
from rlcompress.quantization.ptq import quantise_
from rlcompress.spec import QuantSpec
from tests.quantization.networks import Actor, mlp, randomise_, resnet, seeded

IMAGES = torch.rand(16, 3, 16, 16, generator=seeded(9)).mul(255).round() / 255
VECTORS = torch.randn(64, 5, generator=seeded(8))


def quantised(root: nn.Module, spec: QuantSpec, observations: torch.Tensor) -> nn.Module:
    randomise_(root)
    scale = 1 / 255 if observations.ndim == 4 else None
    quantise_(Actor(root), spec, observations, image_scale=scale)
    return root


def how(module: nn.Module) -> LayerQuantization:
    found = module.quantization
    assert isinstance(found, LayerQuantization)
    return found


def kinds(root: nn.Module) -> dict[str, type[nn.Module]]:
    return {name: type(m) for name, m in root.named_modules() if hasattr(m, "quantization")}


def test_mlp() -> None:
    root = quantised(mlp(), QuantSpec(), VECTORS)
    assert kinds(root) == {
        "0": QuantLinear,
        "1": QuantReLU,
        "2": QuantLinear,
        "3": QuantReLU,
        "4": QuantLinear,
    }
    assert how(root[0]).source is None, "vector observations are floats"
    assert how(root[2]).source is root[1].quantization.quantizer
    assert all(how(root[i]).output is None for i in (0, 2, 4))
    assert not root[1].quantization.quantizer.signed


@pytest.mark.parametrize(
    ("activation", "kind"), [(nn.Tanh, QuantTanh), (nn.Hardtanh, QuantHardtanh)]
)
def test_signed_activations(activation: type[nn.Module], kind: type[nn.Module]) -> None:
    root = quantised(mlp(activation), QuantSpec(), VECTORS)
    assert type(root[1]) is kind
    assert root[1].quantization.quantizer.signed


def test_residual_network() -> None:
    root = quantised(resnet(), QuantSpec(), IMAGES)
    block = root[2]
    stream = how(root[0]).output
    assert stream is not None and stream.quantizer.signed
    source = how(root[0]).source
    assert source is not None and source.grid.scale == pytest.approx(1 / 255)
    assert type(block.relu1) is nn.ReLU, "a ReLU on a stream keeps its integers"
    assert how(block.conv1).source is stream.quantizer, "through the pool and the ReLU"
    assert type(block.relu2) is QuantReLU and type(block.conv1) is QuantConv2d
    assert how(block.conv2).output is not None
    assert type(block.add) is QuantResidualAdd and block.add.quantization.quantizer.signed
    assert how(root[6]).source is root[3].add.quantization.quantizer
    assert how(root[8]).output is None


def test_addition_of_what_is_not_negative_is_unsigned() -> None:
    class Positive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.last = (nn.Linear(5, 5) for _ in range(3))
            self.relu1, self.relu2, self.add = nn.ReLU(), nn.ReLU(), ResidualAdd()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.relu1(self.first(x))
            return self.last(self.add(x, self.relu2(self.second(x))))

    root = quantised(Positive(), QuantSpec(), VECTORS)
    assert not root.add.quantization.quantizer.signed


def test_layers_in_a_row_round_between_them() -> None:
    root = quantised(nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 2)), QuantSpec(), VECTORS)
    assert how(root[0]).output is not None and how(root[1]).output is None


def test_final_activation_stays_float() -> None:
    root = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2), nn.Hardtanh(-2.0, 2.0))
    quantised(root, QuantSpec(), VECTORS)
    assert type(root[3]) is nn.Hardtanh and how(root[2]).output is None


def test_activation_behind_an_activation_rounds_too() -> None:
    root = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Tanh(), nn.Linear(4, 2))
    quantised(root, QuantSpec(), VECTORS)
    assert type(root[2]) is QuantTanh
    assert how(root[3]).source is root[2].quantization.quantizer


def test_activations_of_a_float_observation_stay_float() -> None:
    root = nn.Sequential(nn.Tanh(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    quantised(root, QuantSpec(), VECTORS)
    assert type(root[0]) is nn.Tanh and how(root[1]).source is None


def test_weights_only() -> None:
    root = quantised(resnet(), QuantSpec(activation_bits=None), IMAGES)
    assert set(kinds(root).values()) == {QuantConv2d, QuantLinear}
    assert all(how(m).source is None and how(m).output is None for m in (root[0], root[6]))
    weight, bias = how(root[6]).rounded(root[6])
    assert bias is None and weight is not None and not torch.equal(weight, root[6].weight)


def test_skipped_layers_keep_their_numbers() -> None:
    root = quantised(mlp(), QuantSpec(skip=("2",)), VECTORS)
    assert how(root[2]).rounded(root[2]) == (None, None)
    assert isinstance(root[3], QuantReLU) and how(root[4]).source is not None


def test_granularity() -> None:
    root = quantised(resnet(), QuantSpec(dense="per_channel", conv="per_tensor"), IMAGES)
    assert how(root[0]).scale(root[0]).shape == ()
    assert how(root[6]).scale(root[6]).shape == (20,)
    root = quantised(resnet(), QuantSpec(), IMAGES)
    assert how(root[0]).scale(root[0]).shape == (6,)
    assert how(root[6]).scale(root[6]).shape == ()


@pytest.mark.parametrize("activation_bits", [8, None])
def test_nothing_that_training_relies_on_changes(activation_bits: int | None) -> None:
    root = resnet()
    randomise_(root)
    modules, parameters = dict(root.named_modules()), list(root.parameters())
    names, plain = list(root.state_dict()), copy.deepcopy(root)
    spec = QuantSpec(activation_bits=activation_bits)
    quantise_(Actor(root), spec, IMAGES, image_scale=1 / 255)
    assert list(root.state_dict()) == names
    assert all(a is b for a, b in zip(root.parameters(), parameters, strict=True))
    assert dict(root.named_modules()) == modules
    plain.load_state_dict(root.state_dict())
    assert isinstance(root[0], nn.Conv2d) and isinstance(root[6], nn.Linear)


def test_eight_bits_are_close_to_float_and_two_are_not() -> None:
    root = mlp()
    randomise_(root)
    exact = root(VECTORS).detach()
    errors = {}
    for bits in (2, 4, 8):
        twin = copy.deepcopy(root)
        quantise_(Actor(twin), QuantSpec(weight_bits=bits, activation_bits=bits), VECTORS)
        errors[bits] = float((twin(VECTORS).detach() - exact).norm() / exact.norm())
    assert errors[8] < 0.03 < errors[4] < errors[2]


def test_gradients_reach_every_parameter_and_training_learns() -> None:
    root = quantised(mlp(), QuantSpec(), VECTORS)
    target = VECTORS[:, :3].sin()
    optimizer = torch.optim.Adam(root.parameters(), lr=1e-2)
    losses = []
    for _ in range(200):
        loss = (root(VECTORS) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in root.parameters())
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.05 * losses[0]


def test_ranges_move_in_training_only() -> None:
    root = quantised(mlp(), QuantSpec(), VECTORS)
    before = state.state_dict(root)
    root.eval()
    for _ in range(120):
        root(3 * VECTORS)
    root.train()
    with torch.no_grad():
        for _ in range(120):
            root(3 * VECTORS)
    assert state.state_dict(root) == before
    for _ in range(120):
        root(3 * VECTORS)
    assert state.state_dict(root) != before


def twins() -> tuple[nn.Module, nn.Module, Actor]:
    online = mlp()
    randomise_(online)
    target = copy.deepcopy(online)
    actor = Actor(online, target)
    quantise_(actor, QuantSpec(), VECTORS)
    return online, target, actor


def test_twin_computes_what_the_online_network_computes() -> None:
    online, target, _ = twins()
    for _ in range(250):
        online(2 * VECTORS)
    assert torch.equal(online(VECTORS), target(VECTORS))
    randomise_(target, seed=1)
    assert not torch.equal(online(VECTORS), target(VECTORS))


def test_twin_moves_no_range() -> None:
    online, target, _ = twins()
    before = state.state_dict(online)
    for _ in range(250):
        target(5 * VECTORS)
    assert state.state_dict(online) == before


def afresh(root: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The output with weights that are rounded again, whatever is remembered of them."""
    root = copy.deepcopy(root)
    for module in root.modules():
        module.__dict__.pop("_remembered", None)
    return root(x).detach()


def test_target_update_through_data_is_noticed() -> None:
    """SB3 writes its targets through ``.data``, which no version counter sees."""
    online, target, _ = twins()
    with torch.no_grad():
        first = target(VECTORS)
        for ours, theirs in zip(target.parameters(), online.parameters(), strict=True):
            ours.data.mul_(0.995)
            torch.add(ours.data, 0.5 * theirs.data, alpha=0.005, out=ours.data)
        second = target(VECTORS)
    assert not torch.equal(first, second)
    assert torch.equal(second, afresh(target, VECTORS))


@pytest.mark.parametrize("which", ["weight", "bias"])
def test_remembered_weights_follow_every_usual_write(which: str) -> None:
    root = quantised(
        nn.Sequential(nn.Linear(300, 200), nn.ReLU(), nn.Linear(200, 2)),
        QuantSpec(),
        torch.randn(32, 300, generator=seeded(3)),
    )
    x = torch.randn(8, 300, generator=seeded(4))
    parameter = getattr(root[2], which)
    writes: list[Any] = [
        lambda: parameter.mul_(1.5),
        lambda: parameter.view(-1)[1].fill_(7.0),
        lambda: root.load_state_dict({k: v + 0.1 for k, v in root.state_dict().items()}),
        lambda: torch._foreach_mul_([parameter], 0.5),
        lambda: parameter.data.add_(0.3),
        lambda: setattr(parameter, "data", parameter.data * 2),
    ]
    for write in writes:
        with torch.no_grad():
            root(x)
            write()
            remembered = root(x)
        assert torch.equal(remembered, afresh(root, x))


@pytest.mark.parametrize("fused", [True, False])
def test_remembered_weights_follow_the_optimizer(fused: bool) -> None:
    root = quantised(mlp(), QuantSpec(), VECTORS)
    optimizer = torch.optim.Adam(root.parameters(), lr=1e-5, fused=fused)
    for _ in range(5):
        with torch.no_grad():
            root(VECTORS)
        root(VECTORS).square().sum().backward()
        optimizer.step()
        assert torch.equal(root(VECTORS).detach(), afresh(root, VECTORS))


def test_gradients_are_those_of_weights_that_are_not_remembered() -> None:
    root = quantised(mlp(), QuantSpec(), VECTORS)
    gradients = []
    for remember in (False, True):
        with torch.no_grad():
            root(VECTORS)
        if not remember:
            for module in root.modules():
                module.__dict__.pop("_remembered", None)
        root.zero_grad()
        root(VECTORS).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in root.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_state_goes_on_in_another_network() -> None:
    root = quantised(mlp(), QuantSpec(), VECTORS)
    for _ in range(130):
        root(2 * VECTORS)
    other = Actor(copy.deepcopy(mlp()))
    other.root.load_state_dict(root.state_dict())
    prepare_(other, QuantSpec(), VECTORS)
    state.load_state_dict_(other.root, state.state_dict(root))
    assert torch.equal(root(VECTORS), other.root(VECTORS))


def test_state_of_another_network_is_refused() -> None:
    root = quantised(mlp(), QuantSpec(), VECTORS)
    with pytest.raises(ValueError, match="another network"):
        state.load_state_dict_(root, {"body": {}})


def test_copies_and_pickles_stand_alone() -> None:
    root = quantised(mlp(), QuantSpec(), VECTORS)
    for twin in (copy.deepcopy(root), pickle.loads(pickle.dumps(root))):
        assert torch.equal(twin(VECTORS), root(VECTORS))
        assert twin[2].quantization.source is twin[1].quantization.quantizer
        assert twin[1].quantization.quantizer is not root[1].quantization.quantizer


def test_reads_back_what_was_asked() -> None:
    spec = QuantSpec(weight_bits=5, activation_bits=6, skip=("4",))
    root = mlp()
    assert not state.is_prepared(root) and state.spec_of(root) is None
    quantised(root, spec, VECTORS)
    assert state.is_prepared(root) and state.spec_of(root) == spec


def test_weight_errors() -> None:
    root = quantised(mlp(), QuantSpec(weight_bits=3, skip=("2",)), VECTORS)
    errors = state.weight_errors(root)
    assert errors["2"] == 0.0
    assert 0.05 < errors["0"] < 0.5


class Reused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.relu = nn.Linear(5, 5), nn.Linear(5, 5), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.relu(self.first(self.relu(x))))


class AddsObservation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.add, self.last = nn.Linear(5, 5), ResidualAdd(), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.add(x, self.first(x)))


@pytest.mark.parametrize(
    ("root", "message"),
    [
        (Reused(), "'relu' is used more than once"),
        (AddsObservation(), "'add' adds a float observation"),
        (nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Tanh()), "must end in nn.Linear"),
        (nn.Sequential(nn.ReLU()), "must end in nn.Linear"),
        (nn.Sequential(nn.Linear(5, 5), nn.ELU()), "unsupported module ELU"),
    ],
)
def test_what_cannot_be_quantised_is_refused_and_left_alone(root: nn.Module, message: str) -> None:
    before = [type(module) for module in root.modules()]
    for function in (prepare_, check_quantisable):
        with pytest.raises(ValueError, match=message):
            function(Actor(root), QuantSpec(), VECTORS)
    assert [type(module) for module in root.modules()] == before


@pytest.mark.parametrize("root", [Reused(), AddsObservation()])
def test_weights_alone_can_be_quantised_there(root: nn.Module) -> None:
    quantised(root, QuantSpec(activation_bits=None), VECTORS)
    assert state.is_prepared(root)


def test_unknown_layers_to_skip_are_named() -> None:
    with pytest.raises(ValueError, match=r"'features.0'.*nearest"):
        check_quantisable(Actor(mlp()), QuantSpec(skip=("features.0",)), VECTORS)


def test_quantising_twice_is_refused() -> None:
    root = quantised(mlp(), QuantSpec(), VECTORS)
    with pytest.raises(ValueError, match="quantised already"):
        prepare_(Actor(root), QuantSpec(), VECTORS)


def test_check_changes_nothing() -> None:
    root = mlp()
    check_quantisable(Actor(root), QuantSpec(), VECTORS)
    assert not state.is_prepared(root)


def test_calibration_ends_even_if_the_forward_pass_fails() -> None:
    actor = Actor(mlp())
    prepare_(actor, QuantSpec(), VECTORS)
    with pytest.raises(RuntimeError):
        calibrate_(actor, torch.zeros(3, 99))
    assert not any(q.calibrating for q in state.quantizers_of(actor.root).values())
