"""The pruner reaches the sparsity it is asked for, refuses what cannot be, and reports."""

import pytest
import torch
from torch import nn

from rlcompress.pruning.pruner import Pruner, check_feasible, format_report
from rlcompress.spec import PolynomialSchedule, PruneSpec


def make_layers(*shapes: tuple[int, int], seed: int = 0) -> dict[str, nn.Linear]:
    torch.manual_seed(seed)
    return {f"layer{i}": nn.Linear(n, m) for i, (m, n) in enumerate(shapes)}


def nonzero(layers) -> dict[str, int]:
    return {name: int((layer.weight != 0.0).sum()) for name, layer in layers.items()}


def test_magnitude_pruning_by_hand():
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -5.0, 2.0], [-2.0, 0.5, 3.0]]))
    pruner = Pruner(PruneSpec(0.5), {"layer": layer})
    pruner.update_(0.5)
    assert layer.weight.tolist() == [[0.0, -5.0, 2.0], [0.0, 0.0, 3.0]]
    pruner.update_(0.9)
    assert layer.weight.tolist() == [[0.0, -5.0, 0.0], [0.0, 0.0, 0.0]]


@pytest.mark.parametrize("allocation", ["global", "uniform", "erdos_renyi", "erdos_renyi_paper"])
@pytest.mark.parametrize("criterion", ["magnitude", "random"])
def test_gradual_pruning_is_exact_and_monotone(allocation, criterion):
    layers = make_layers((16, 5), (16, 16), (3, 16))
    pruner = Pruner(PruneSpec(0.9, criterion=criterion, allocation=allocation), layers)
    total = 16 * 5 + 16 * 16 + 3 * 16
    before = pruner.masks.state_dict()
    for sparsity in [0.1, 0.1, 0.33, 0.334, 0.62, 0.8, 0.87]:
        pruner.update_(sparsity)
        masks = pruner.masks.state_dict()
        assert sum(nonzero(layers).values()) == round((1 - sparsity) * total)
        assert nonzero(layers) == dict(pruner.masks.kept)
        assert not any((masks[name] & ~before[name]).any() for name in masks)
        before = masks
    pruner.update_(0.5)
    assert all(torch.equal(before[name], mask) for name, mask in pruner.masks.masks.items())


def test_twins_excluded_and_skipped_layers():
    layers, twins = make_layers((4, 4), (4, 4)), make_layers((4, 4), (4, 4), seed=1)
    log_std = nn.Linear(4, 2)
    pruner = Pruner(
        PruneSpec(0.75, skip=("layer0",)),
        layers,
        twins=twins,
        excluded={"log_std": (log_std, "unused at inference")},
    )
    pruner.update_(0.75)
    assert nonzero(layers) == nonzero(twins) == {"layer0": 16, "layer1": 4}
    rows = {row.layer: row for row in pruner.report()}
    assert list(rows) == ["layer1", "log_std", "layer0"]
    assert (rows["layer1"].weights, rows["layer1"].kept, rows["layer1"].biases) == (16, 4, 4)
    assert rows["layer1"].sparsity == 0.75
    assert rows["layer1"].excluded == ""
    assert rows["log_std"].excluded == "unused at inference"
    assert rows["layer0"].excluded == "skipped as asked"
    assert (log_std.weight != 0.0).all()


def test_the_report_says_everything_once():
    layers = {"latent": nn.Linear(4, 4), "mu": nn.Linear(4, 2, bias=False)}
    excluded = {"log_std": (nn.Linear(4, 2), "unused at inference")}
    pruner = Pruner(PruneSpec(0.5, allocation="uniform"), layers, excluded=excluded)
    pruner.update_(0.5)
    assert format_report(pruner.report()).splitlines() == [
        "layer     weights      kept sparsity  biases",
        "latent         16         8   0.5000       4",
        "mu              8         4   0.5000       0",
        "log_std         8         8    dense       2  unused at inference",
        "total          24        12   0.5000       4",
        "Biases stay dense and are not counted.",
        "Sparsity with excluded layers counted: 0.3750.",
    ]


def test_a_pruner_resumes_where_another_stopped():
    spec = PruneSpec(0.9, criterion="random")
    straight, stopped = make_layers((8, 8)), make_layers((8, 8))
    pruner = Pruner(spec, straight, seed=3)
    first = Pruner(spec, stopped, seed=3)
    for each in (pruner, first):
        each.update_(0.4)
    second = Pruner(spec, stopped, seed=99)
    second.load_state_dict(first.state_dict())
    for each in (pruner, second):
        each.update_(0.8)
    assert torch.equal(straight["layer0"].weight, stopped["layer0"].weight)
    other = make_layers((8, 8))
    Pruner(spec, other, seed=4).update_(0.8)
    assert not torch.equal(other["layer0"].weight, straight["layer0"].weight)


def test_looking_ahead_changes_nothing():
    layers = make_layers((8, 8), (8, 8))
    spec = PruneSpec(0.9, criterion="random", allocation="global")
    looked, blind = Pruner(spec, layers), Pruner(spec, make_layers((8, 8), (8, 8)))
    looked.plan()
    assert nonzero(layers) == {"layer0": 64, "layer1": 64}
    for each in (looked, blind):
        each.update_(0.9)
    for name, mask in looked.masks.masks.items():
        assert torch.equal(mask, blind.masks.masks[name])


def test_the_plan_is_what_shapes_say():
    layers = make_layers((256, 11), (256, 256), (3, 256))
    assert check_feasible(PruneSpec(0.98), layers) == {"layer0": 355, "layer1": 682, "layer2": 345}
    assert sum(nonzero(layers).values()) == 69120


def test_a_layer_left_without_weights_is_refused_by_name():
    layers = make_layers((64, 64), (2, 2))
    with pytest.raises(ValueError, match=r"sparsity 0\.99 .*'uniform' would leave no .* layer1"):
        check_feasible(PruneSpec(0.99, allocation="uniform"), layers)


def test_global_only_warns_beforehand_and_when_it_happens():
    layers = make_layers((8, 8), (8, 8))
    with torch.no_grad():
        layers["layer1"].weight.mul_(1e-3)
    spec = PruneSpec(0.6, allocation="global")
    with pytest.warns(UserWarning, match=r"leave no weight in layer1"):
        check_feasible(spec, layers)
    with pytest.warns(UserWarning, match=r"'layer1' has lost all its weights"):
        Pruner(spec, layers).update_(0.6)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (PruneSpec(0.5, criterion="magnitud"), r"did you mean magnitude\?"),
        (PruneSpec(0.5, allocation="erdos"), r"unknown allocation 'erdos'"),
        (PruneSpec(0.5, skip=("layer7",)), r"skip names an unknown layer 'layer7'; did you mean"),
        (PruneSpec(0.5, skip=("layer0", "layer1", "layer2")), r"no layer is left to prune"),
        (PruneSpec(0.995, allocation="erdos_renyi_paper"), r"'layer1' would need a sparsity above"),
        (PruneSpec(0.5, PolynomialSchedule(initial=0.6)), r"initial sparsity 0\.6 is above"),
    ],
)
def test_impossible_requests_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        check_feasible(spec, make_layers((256, 11), (256, 256), (3, 256)))


def test_no_sparsity_and_no_layer_is_fine():
    layers = make_layers((4, 4))
    pruner = Pruner(PruneSpec(0.0, skip=("layer0",)), layers)
    assert pruner.masks.sparsity == 0.0
    assert check_feasible(PruneSpec(0.0, skip=("layer0",), allocation="global"), layers) == {}
    assert "total" in format_report(pruner.report())


def test_broken_weights_are_named():
    layers = make_layers((4, 4), (4, 4))
    with torch.no_grad():
        layers["layer1"].weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"finite score per weight.* layer 'layer1'"):
        Pruner(PruneSpec(0.5), layers).update_(0.5)


def test_convolutions_count_their_kernel():
    layers = {"conv": nn.Conv2d(4, 8, 3), "head": nn.Linear(32, 2)}
    # 10 of 352 weights; dims sum to 8 + 4 + 3 + 3 = 18 and 34.
    pruner = Pruner(PruneSpec(1 - 10 / 352), layers)
    pruner.update_(1 - 10 / 352)
    assert pruner.masks.kept == {"conv": 3, "head": 7}
