"""What tracing finds in a network, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from rlcompress.quantization.graph import Node, fused_activation, readers, trace
from rlcompress.quantization.layers import ResidualAdd
from tests.quantization.networks import mlp, resnet


def traced(root: nn.Module, *shape: int) -> tuple[Node, ...]:
    return trace(root, root, torch.zeros(2, *shape))


def test_sequence_of_modules() -> None:
    nodes = traced(mlp(), 5)
    assert [node.name for node in nodes] == ["0", "1", "2", "3", "4"]
    assert [node.inputs for node in nodes] == [(0,), (1,), (2,), (3,), (4,)]
    assert [node.output for node in nodes] == [1, 2, 3, 4, 5]
    assert nodes[0].shape == (24,)


def test_residual_stream() -> None:
    nodes = {node.name: node for node in traced(resnet(), 3, 16, 16)}
    stream = nodes["1"].output
    assert nodes["2.relu1"].inputs == (stream,)
    assert nodes["2.add"].inputs == (stream, nodes["2.conv2"].output)
    assert nodes["3.add"].inputs[0] == nodes["2.add"].output
    assert nodes["1"].shape == (6, 8, 8)


def test_modules_that_do_nothing_leave_no_trace() -> None:
    root = nn.Sequential(
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(6, 4), nn.Identity(), nn.Sequential(), nn.ReLU()
    )
    nodes = traced(root.eval(), 2, 3)
    assert [node.name for node in nodes] == ["2", "5"]
    assert nodes[1].inputs == (nodes[0].output,)


def test_flattening_an_image_does_something() -> None:
    nodes = traced(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), 3, 2, 2)
    assert [node.name for node in nodes] == ["0", "1"]


def test_in_place_activations() -> None:
    root = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    assert [node.inputs for node in traced(root, 3)] == [(0,), (1,), (2,)]


class InPlace(nn.Module):
    """Writes into what a module gave, as torchvision's residual blocks do."""

    def __init__(self, change: Callable[[torch.Tensor, torch.Tensor], object]) -> None:
        super().__init__()
        self.first, self.second, self.change = nn.Linear(4, 4), nn.Linear(4, 4), change

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.first(x)
        second = self.second(first)
        self.change(first, second)
        return second


@pytest.mark.parametrize(
    "change",
    [
        lambda first, second: nn.functional.relu(second, inplace=True),
        lambda first, second: second.add_(first),
        lambda first, second: second.mul_(3.0),
    ],
)
def test_functions_that_write_in_place_are_refused(change: Callable[..., object]) -> None:
    root = InPlace(change)
    with pytest.raises(ValueError, match="between 'second' and the network's output"):
        trace(root, root, torch.zeros(2, 4))


def test_module_that_is_used_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.relu = nn.Linear(3, 3), nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(self.relu(self.layer(self.relu(x))))

    names = [node.name for node in traced(Twice(), 3)]
    assert names == ["relu", "layer", "relu", "layer"]


def test_modules_beside_the_way_are_not_seen() -> None:
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.mu, self.log_std = nn.Linear(3, 3), nn.Linear(3, 1), nn.GELU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.mu(self.body(x))

    assert [node.name for node in traced(TwoHeads(), 3)] == ["body", "mu"]


def test_leaves_no_hooks() -> None:
    root = mlp()
    traced(root, 5)
    assert not any(module._forward_hooks for module in root.modules())


class Functional(nn.Module):
    """A network with a function between two modules, before the first, or after the last."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where, self.first, self.second = where, nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x * 2 if self.where == "before" else x)
        x = self.second(torch.relu(x) if self.where == "between" else x)
        return x.tanh() if self.where == "after" else x


@pytest.mark.parametrize(
    ("where", "neighbours"),
    [
        ("before", ["the network's input", "'first'"]),
        ("between", ["'first'", "'second'"]),
        ("after", ["'second'", "the network's output"]),
    ],
)
def test_functions_between_modules_are_refused(where: str, neighbours: list[str]) -> None:
    with pytest.raises(ValueError, match="not a module") as error:
        traced(Functional(where), 3)
    for neighbour in neighbours:
        assert neighbour in str(error.value)
    assert "nn.ReLU" in str(error.value)


def test_no_hooks_are_left_after_an_error() -> None:
    root = Functional("between")
    with pytest.raises(ValueError):
        traced(root, 3)
    assert not any(module._forward_hooks for module in root.modules())


class Doubling(nn.Linear):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(input)


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (nn.LayerNorm(4), (4,), "unsupported module LayerNorm at '0'"),
        (nn.SiLU(), (4,), "unsupported module SiLU"),
        (Doubling(4, 4), (4,), "unsupported module Doubling"),
        (nn.ReLU6(), (4,), "symmetric"),
        (nn.Hardtanh(-1.0, 2.0), (4,), "symmetric"),
        (nn.Conv2d(4, 4, 3, groups=2), (4, 8, 8), "groups"),
        (nn.Conv2d(4, 4, 3, dilation=2), (4, 8, 8), "dilation"),
        (nn.Conv2d(4, 4, 3, padding="same"), (4, 8, 8), "padding"),
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), (4, 8, 8), "padding"),
        (nn.MaxPool2d(2, ceil_mode=True), (4, 8, 8), "ceil_mode"),
        (nn.MaxPool2d(2, dilation=2), (4, 8, 8), "dilation"),
        (nn.Flatten(2), (4, 8, 8), "axis 1"),
        (nn.Linear(8, 2), (4, 8), "nn.Flatten"),
    ],
)
def test_what_has_no_integer_counterpart_is_refused(
    module: nn.Module, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        traced(nn.Sequential(module), *shape)


def test_additions_do_not_broadcast() -> None:
    class Broadcasting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.add = nn.Linear(4, 1), ResidualAdd()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.add(x, self.layer(x))

    with pytest.raises(ValueError, match="one shape"):
        traced(Broadcasting(), 4)


def test_output_must_be_the_last_value() -> None:
    class Returning(nn.Module):
        def __init__(self, early: bool) -> None:
            super().__init__()
            self.early, self.first, self.second = early, nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.first(x)
            self.second(y)
            return x if self.early else y

    for early in (True, False):
        with pytest.raises(ValueError, match="'second'"):
            traced(Returning(early), 4)


def fused(root: nn.Module, *shape: int) -> dict[str, Any]:
    nodes = traced(root, *shape)
    reading = readers(nodes)
    found = {node.name: fused_activation(node, reading) for node in nodes}
    return {name: reader.name for name, reader in found.items() if reader is not None}


def test_activations_fuse_with_the_layer_they_alone_read() -> None:
    assert fused(mlp(), 5) == {"0": "1", "2": "3"}
    # The first ReLU of a block reads the stream, which the addition reads as well.
    assert fused(resnet(), 3, 16, 16) == {
        "2.conv1": "2.relu2",
        "3.conv1": "3.relu2",
        "6": "7",
    }
